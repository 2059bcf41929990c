"""Where a unit works: in the vault's worktree, or in one of its own that it fetches and pushes back."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

import ironclaw_git
from ironclaw_chassis.client import AddressBook, ServiceClient
from ironclaw_contracts.artifacts import OPERATIONAL_FILES
from ironclaw_contracts.endpoints import vault_remote
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import NotReady, Problem, Unavailable
from ironclaw_contracts.jobs import JobMessage

log = structlog.get_logger()

T = TypeVar("T")

_PATIENCE_SECONDS = 300.0  # how long an outage of the vault is waited out
_PAUSE_SECONDS = (0.2, 5.0)
_LAST_WORD_SECONDS = 10.0


class Place(Protocol):
    """A worktree with an order in it."""

    @property
    def path(self) -> Path:
        """Where the unit reads, writes and commits."""
        ...

    async def deliver(self, commit_sha: str) -> None:
        """Have the vault know the commit. Raises `GitError` or `Problem` when it cannot be told."""
        ...


class Workspace(Protocol):
    """Gives units their worktrees."""

    def opened(self, job: JobMessage, unit_id: str) -> AbstractAsyncContextManager[Place]:
        """Open the worktree of a claimed attempt. Raises `GitError` or `Problem` when it cannot be had."""
        ...


class SharedPlace:
    """The vault's own worktree: a commit in it is known to the vault at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def deliver(self, commit_sha: str) -> None:
        """Do nothing."""


class SharedWorkspace:
    """For workers that share the vault's file system."""

    @asynccontextmanager
    async def opened(self, job: JobMessage, unit_id: str) -> AsyncGenerator[Place]:
        """Open the path that the job names."""
        yield SharedPlace(Path(job.worktree_path))


class FetchedPlace:
    """A repository of the unit's own with the attempt's branch in it."""

    def __init__(
        self,
        client: ServiceClient,
        remote: ironclaw_git.Remote,
        job: JobMessage,
        grant: vault_remote.Grant,
        path: Path,
    ) -> None:
        self.path = path
        self._client = client
        self._remote = remote
        self._job = job
        self._grant = grant
        self._delivered = grant.base_commit

    async def deliver(self, commit_sha: str) -> None:
        """Push the branch, through an outage if need be, and have the vault's worktree follow."""
        await patiently("push", lambda: self._push(commit_sha))

    async def last_word(self) -> None:
        """Push, once, what was committed and never delivered: somebody may adopt it yet."""
        try:
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                head = (await ironclaw_git.status(self.path)).head
                if head != self._delivered:
                    await self._push(head)
        except (ironclaw_git.GitError, Problem, OSError, TimeoutError) as error:
            log.info("work left undelivered", order_id=self._job.order_id, reason=str(error))

    async def _push(self, commit_sha: str) -> None:
        await ironclaw_git.push_branch(self._remote, self.path, self._grant.branch)
        settlement = vault_remote.Settlement(attempt=self._job.attempt, commit_sha=commit_sha)
        await self._client.call(vault_remote.SETTLE_WORKTREE, settlement, order_id=self._job.order_id)
        self._delivered = commit_sha


class FetchedWorkspace:
    """For workers on other machines: `root` holds a folder for each attempt while it lasts."""

    def __init__(self, client: ServiceClient, addresses: AddressBook, root: Path) -> None:
        self._client = client
        self._addresses = addresses
        self._root = root

    async def clear_leftovers(self) -> None:
        """Remove what workers left here whose processes are gone."""
        await asyncio.to_thread(_clear_leftovers, self._root)

    @asynccontextmanager
    async def opened(self, job: JobMessage, unit_id: str) -> AsyncGenerator[Place]:
        """Fetch the attempt's branch, and forget it afterwards: what counts was pushed."""
        request = vault_remote.GrantRequest(attempt=job.attempt, unit_id=unit_id)
        grant = await patiently(
            "grant", lambda: self._client.call(vault_remote.GRANT_WORKTREE, request, order_id=job.order_id)
        )
        remote = ironclaw_git.Remote(self._addresses.url(Service.VAULT) + grant.git_path, grant.token)
        path = self._root / grant.branch
        try:
            await patiently(
                "fetch", lambda: ironclaw_git.fetch_worktree(remote, path, grant.branch, grant.base_commit)
            )
            await asyncio.to_thread(_write_prepared, path, grant.files)
            place = FetchedPlace(self._client, remote, job, grant, path)
            try:
                yield place
            finally:
                await place.last_word()
        finally:
            await asyncio.to_thread(shutil.rmtree, path, True)


async def patiently(what: str, act: Callable[[], Awaitable[T]]) -> T:
    """Do something, again and again while the vault is away, for five minutes at most.

    What it refuses is raised at once.
    """
    pause, longest = _PAUSE_SECONDS
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            return await act()
        except ironclaw_git.RemoteRefused:
            raise
        except (Unavailable, NotReady, ironclaw_git.GitError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.warning("the vault is away, trying again", what=what, reason=str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)


def _write_prepared(path: Path, files: list[vault_remote.PreparedFile]) -> None:
    for file in files:
        if file.name in OPERATIONAL_FILES:  # at the root, and nowhere that a name could lead
            (path / file.name).write_text(file.content, encoding="utf-8")


def _clear_leftovers(root: Path) -> None:
    """Folders beside ours are named for the host and process that work in them, as ours is."""
    host = root.name.rpartition(".")[0]
    for folder in root.parent.glob(f"{host}.*"):
        pid = folder.name.removeprefix(f"{host}.")
        if folder == root or not (pid.isdecimal() and _runs(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
