"""Brings promoted mainlines to remotes that the operator named: never by force, and blocking no merge."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import structlog

import ironclaw_git
from ironclaw_chassis.escalations import Escalations
from ironclaw_contracts.enums import Severity
from ironclaw_contracts.errors import NotFound, Unavailable
from ironclaw_integration.theaters import Theaters

log = structlog.get_logger()


def parse_remotes(text: str) -> dict[str, str]:
    """Read `theater=url,theater=url`. Raises `ValueError` naming what is wrong."""
    remotes: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        theater, found, url = part.partition("=")
        if not found:
            raise ValueError(f"IRONCLAW_INTEGRATION_PUSH: {part[:100]!r} is not THEATER=URL")
        try:
            ironclaw_git.check_id(theater, "theater")
            ironclaw_git.check_remote(url)
        except ironclaw_git.UnsafeName as error:
            raise ValueError(f"IRONCLAW_INTEGRATION_PUSH: {error}") from error
        remotes[theater] = url
    return remotes


class Pusher:
    """Keeps each remote's branch at the mainline's head; remembers in memory only what was pushed last."""

    def __init__(
        self,
        theaters: Theaters,
        escalations: Escalations,
        remotes: Mapping[str, str],
        *,
        token_file: str,
        ssh_key_file: str,
        known_hosts_file: str,
    ) -> None:
        self._theaters = theaters
        self._escalations = escalations
        self._remotes = remotes
        self._token_file = token_file
        self._ssh_key_file = ssh_key_file
        self._known_hosts_file = known_hosts_file
        self._pushed: dict[str, str] = {}

    async def keys(self) -> AsyncIterator[str]:
        """Yield the theaters that have a remote."""
        for theater_id in self._remotes:
            yield theater_id

    async def push(self, theater_id: str) -> None:
        """Push a theater's mainline if it moved. Raises `Unavailable` when it could not be pushed."""
        if theater_id not in self._remotes:
            return
        try:
            repository = await self._theaters.repository(theater_id)
        except NotFound:
            return  # named before it was opened; its first promotion pushes it
        head = await repository.mainline_head()
        if self._pushed.get(theater_id) == head:
            return
        credentials = await asyncio.to_thread(self._credentials)
        try:
            await ironclaw_git.push(
                repository, self._remotes[theater_id], head, repository.mainline_branch, credentials
            )
        except ironclaw_git.GitError as error:
            reason = (
                f"the mainline of {theater_id} could not be pushed to {self._remotes[theater_id]}: {error}"
            )
            await self._escalations.raise_once(
                Severity.MEDIUM, f"push:{theater_id}", reason, episode=head, theater_id=theater_id
            )
            raise Unavailable(reason) from error
        self._pushed[theater_id] = head
        log.info("pushed", theater_id=theater_id, head=head)

    def _credentials(self) -> ironclaw_git.Credentials:
        # Read each time, so that a rotated token needs no restart.
        token = Path(self._token_file).read_text(encoding="utf-8").strip() if self._token_file else ""
        return ironclaw_git.Credentials(
            token=token, ssh_key=self._ssh_key_file, known_hosts=self._known_hosts_file
        )
