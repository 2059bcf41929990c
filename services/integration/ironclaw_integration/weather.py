"""Merge weather: which branches in flight get in each other's way, decided from what they touch. Pure.

`clear`: nothing in common. `soft`: the same files, and git merges them. `hot`: git cannot.
"""

import hashlib
from collections.abc import Iterable
from itertools import combinations
from pathlib import PurePosixPath

from msgspec import Struct

from ironclaw_contracts.artifacts import OPERATIONAL_FILES
from ironclaw_contracts.endpoints.integration import Sky
from ironclaw_git import ChangedPath


class Branch(Struct, frozen=True):
    """An order's branch as it stands: where it began, and the paths that it changes since.

    `work` names what it changes, paths and contents: two heads with the same base and work merge alike.
    `removes` when it takes paths away: git may see renames then, which reach beyond the paths themselves.
    """

    order_id: str
    attempt: int
    first_seq: int
    head: str
    base: str
    work: str
    paths: frozenset[str]
    removes: bool


def without_operational(changes: Iterable[ChangedPath]) -> list[ChangedPath]:
    """Return the changes that a merge would bring along."""
    return [change for change in changes if change.path not in OPERATIONAL_FILES]


def work_of(changes: Iterable[ChangedPath]) -> str:
    """Return a name of what is changed, and to what."""
    lines = sorted(f"{change.path}\0{change.mode}\0{change.sha}" for change in changes)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def pairs(branches: Iterable[Branch]) -> list[tuple[Branch, Branch]]:
    """Return every pair, the older order first."""
    return list(combinations(sorted(branches, key=lambda branch: branch.first_seq), 2))


def may_meet(one: Branch, other: Branch) -> bool:
    """Tell whether git has to be asked: paths in common, a file where the other has a folder, or renames."""
    if one.paths & other.paths or one.removes or other.removes:
        return True
    return bool(_folders(one.paths) & other.paths or _folders(other.paths) & one.paths)


def sky(shared: bool, conflicting: bool) -> Sky:
    """Return the state of a pair."""
    if conflicting:
        return "hot"
    return "soft" if shared else "clear"


def worst(states: Iterable[Sky]) -> Sky:
    """Return the worst of several states; clear when there is none."""
    found = set(states)
    return "hot" if "hot" in found else "soft" if "soft" in found else "clear"


def _folders(paths: Iterable[str]) -> set[str]:
    """Return every folder above these paths."""
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents}
