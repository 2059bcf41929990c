"""Worktree folders that belong to no open order: leftovers of ended ones, and orphans of none."""

import asyncio
from pathlib import Path

from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import parse_order_branch


class Leftover(Struct, frozen=True):
    """A folder beside the worktrees. `order` is None when the ledger knows none of that name.

    `dirty` counts what is uncommitted in it; None when it cannot be read.
    """

    path: Path
    order: OrderSnapshot | None
    dirty: int | None


async def find_leftovers(
    ledger: LedgerClient, folder: Path, in_use: frozenset[Path], limit: int
) -> list[Leftover]:
    """Return the folders that no order in `in_use` works in, at most `limit` of them."""
    paths = [path for path in await asyncio.to_thread(_folders, folder) if path not in in_use]
    return [await _leftover(ledger, path) for path in paths[:limit]]


async def _leftover(ledger: LedgerClient, path: Path) -> Leftover:
    named = parse_order_branch(path.name)
    order = None
    if named is not None:
        try:
            order = (await ledger.order(named[0])).order
        except NotFound:
            order = None
    try:
        dirty: int | None = len((await ironclaw_git.status(path)).changed)
    except (ironclaw_git.GitError, OSError):
        dirty = None
    return Leftover(path, order, dirty)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(e for e in folder.iterdir() if e.is_dir() and not e.name.startswith("."))
