"""Retention: remove what nobody needs any more, and never work that is not merged or kept elsewhere.

Leases end with their phase, and arq keeps no results; what grows are worktrees and branches of ended orders,
refs of merged work, and archive files.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.errors import NotFound, Problem
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import TERMINAL_PHASES
from ironclaw_git import Repository
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees

log = structlog.get_logger()

_FAMILIES: tuple[ironclaw_git.Family, ...] = ("salvage", "archive")
_HEADS = "refs/heads/"


class Retention(Struct, frozen=True):
    """How long things stay: worktrees and branches after their order's end, merged refs and files."""

    worktree_seconds: int
    archive_days: int


class Janitor:
    """Goes through the theaters one by one."""

    def __init__(
        self, theaters: Theaters, worktrees: Worktrees, ledger: LedgerClient, retention: Retention
    ) -> None:
        self._theaters = theaters
        self._worktrees = worktrees
        self._ledger = ledger
        self._retention = retention

    async def tidy_all(self) -> None:
        """Tidy every theater; what cannot be tidied now is left for the next round."""
        for theater in (await self._theaters.listed()).theaters:
            try:
                await self._tidy(theater.theater_id)
            except (Problem, ironclaw_git.GitError, OSError) as error:
                log.warning("theater not tidied", theater_id=theater.theater_id, reason=str(error))

    async def _tidy(self, theater_id: str) -> None:
        repository = await self._theaters.repository(theater_id)
        places = self._theaters.places(theater_id)
        for name in await asyncio.to_thread(_folders, places.worktrees):
            await self._remove_worktree(name)
        await self._delete_branches(repository)
        await self._drop_refs(repository)
        await self._drop_files(repository, places.archive)

    async def _remove_worktree(self, name: str) -> None:
        named = ironclaw_git.parse_order_branch(name)
        if named is None or await self._ended(named[0]) is None:
            return
        try:
            await self._worktrees.remove(*named)
            log.info("worktree removed", order_id=named[0], attempt=named[1])
        except Problem as error:
            log.warning("worktree stays", order_id=named[0], attempt=named[1], reason=error.message)

    async def _delete_branches(self, repository: Repository) -> None:
        """Delete the branches of ended orders, once their commits are reachable from elsewhere."""
        out = {record.head_ref for record in ironclaw_git.worktree_records(repository.git_dir)}
        for ref, head in (await repository.refs(_HEADS.rstrip("/"))).items():
            named = ironclaw_git.parse_order_branch(ref.removeprefix(_HEADS))
            if ref in out or named is None or await self._ended(named[0]) is None:
                continue
            if not await repository.is_ancestor(head, await repository.mainline_head()):
                await ironclaw_git.salvage_by_ref(repository, head, *named)
            await ironclaw_git.delete_branch(repository, ref.removeprefix(_HEADS), head)

    async def _drop_refs(self, repository: Repository) -> None:
        oldest = datetime.now(UTC) - timedelta(days=self._retention.archive_days)
        for family in _FAMILIES:
            for kept in await ironclaw_git.kept_refs(repository, family):
                if kept.merged and kept.kept_at < oldest and await self._ended(kept.order_id):
                    await ironclaw_git.drop_merged(repository, kept)

    async def _drop_files(self, repository: Repository, folder: Path) -> None:
        """Drop old archive files of attempts whose work a ref of the repository keeps, or the mainline."""
        oldest = time.time() - self._retention.archive_days * 86_400
        for stem in await asyncio.to_thread(_old_archives, folder, oldest):
            order_id, _, attempt = stem.rpartition(".")
            kept = await ironclaw_git.kept_refs(repository, "salvage", order_id)
            if any(item.attempt == int(attempt) for item in kept) or await self._is_merged(order_id):
                await asyncio.to_thread(_unlink_all, folder, stem)
                log.info("archive files removed", order_id=order_id, attempt=int(attempt))

    async def _is_merged(self, order_id: str) -> bool:
        order = await self._ended(order_id)
        return order is not None and order.merge_commit is not None

    async def _ended(self, order_id: str) -> OrderSnapshot | None:
        """Return the order when it has ended long enough ago; None while it may still need its things."""
        try:
            order = (await self._ledger.order(order_id)).order
        except NotFound:
            return None
        age = datetime.now(UTC) - order.phase_since
        lasting = age > timedelta(seconds=self._retention.worktree_seconds)
        return order if order.phase in TERMINAL_PHASES and lasting else None


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def _old_archives(folder: Path, oldest: float) -> list[str]:
    """Return the stems (`<order>.<attempt>`) of the archives written before a time."""
    sums = folder.glob("*.sha256") if folder.is_dir() else ()
    return sorted(path.stem for path in sums if path.stat().st_mtime < oldest)


def _unlink_all(folder: Path, stem: str) -> None:
    for suffix in (".bundle", ".tar", ".sha256"):  # the sums last: while they stand, the rest is looked for
        (folder / f"{stem}{suffix}").unlink(missing_ok=True)
