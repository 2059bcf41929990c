"""Merging an order's branch without a checkout, and moving the mainline by compare-and-swap.

Most merges need no look into any file: the sides changed different paths, and trees are put together from
what is stored (`treewalk.merge_apart`). The others are git's, in one process.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import pygit2
from msgspec import Struct

from ironclaw_contracts.artifacts import OPERATIONAL_FILES
from ironclaw_git.history import contains_all, fork_point
from ironclaw_git.names import IRONCLAW, Person, check_ref, check_sha
from ironclaw_git.native import native
from ironclaw_git.objects import TreeEntry, encode_commit, encode_tree
from ironclaw_git.odb import tree_entries, tree_id, write
from ironclaw_git.paths import shown
from ironclaw_git.refdb import swap
from ironclaw_git.repository import Repository, store_commit
from ironclaw_git.run import failure
from ironclaw_git.treewalk import merge_apart

T = TypeVar("T")

MERGE_TIMEOUT_SECONDS = 120.0
_OPERATIONAL_NAMES = frozenset(name.encode() for name in OPERATIONAL_FILES)


class Merged(Struct, frozen=True):
    """The merge commit, on no ref yet, and its tree."""

    commit: str
    tree: str


class Conflict(Struct, frozen=True):
    """The paths that both sides changed in ways that do not go together."""

    paths: tuple[str, ...]


def without_operational(branch: Iterable[TreeEntry], mainline: Iterable[TreeEntry]) -> list[TreeEntry]:
    """Return the branch's root entries with the mainline's own version of each operational file, or none."""
    kept = [entry for entry in branch if entry.name not in _OPERATIONAL_NAMES]
    return kept + [entry for entry in mainline if entry.name in _OPERATIONAL_NAMES]


async def merge(
    repo: Repository,
    mainline_sha: str,
    branch_sha: str,
    message: str,
    author: Person,
    *,
    committer: Person = IRONCLAW,
    when: datetime | None = None,
) -> Merged | Conflict:
    """Merge a branch's commit into a mainline's and return the merge commit; no ref moves.

    Operational files never take part: before the merge the branch gets the mainline's version of them, so
    that they can neither conflict, nor land, nor be taken for a rename of something else. Attributes of
    the tree are not honoured: every file is merged as text. What is already merged returns `mainline_sha`.
    Raises `UnknownObject`, and `GitError` for histories without a common commit.
    """

    def keep(repository: pygit2.Repository, tree: str, mainline_tree: str) -> Merged:
        if tree == mainline_tree and contains_all(repository, mainline_sha, [branch_sha]):
            return Merged(mainline_sha, tree)
        parents = (mainline_sha, branch_sha)
        return Merged(store_commit(repository, tree, parents, message, author, committer, when), tree)

    return await _merge(repo, mainline_sha, branch_sha, keep)


async def foresee(repo: Repository, ours: str, theirs: str) -> str | Conflict:
    """Return the tree that merging two commits would give, or where they conflict; no commit is made."""
    return await _merge(repo, ours, theirs, lambda _, tree, __: tree)


class _Sides(Struct, frozen=True):
    """What a merge starts from: the mainline's tree and, where no file had to be looked into, the result.

    `theirs` is the branch without operational files, for git to merge, where it has to.
    """

    mainline_tree: str
    merged: str | None
    theirs: str


async def _merge(
    repo: Repository, mainline_sha: str, branch_sha: str, act: Callable[[pygit2.Repository, str, str], T]
) -> T | Conflict:
    """Do something with the merged tree and that of `mainline_sha`, or return the conflict."""
    check_sha(mainline_sha)
    check_sha(branch_sha)

    def attempt(repository: pygit2.Repository) -> tuple[_Sides, T | None]:
        sides = _sides(repository, mainline_sha, branch_sha)
        return sides, act(repository, sides.merged, sides.mainline_tree) if sides.merged is not None else None

    sides, done = await native(repo.layout, attempt)
    if done is not None:
        return done
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", mainline_sha, sides.theirs)
    answer = await repo.git(*args, check=False, timeout=MERGE_TIMEOUT_SECONDS)
    if answer.returncode not in {0, 1}:
        raise failure(answer, args)
    merged_tree, *paths = answer.stdout.rstrip(b"\0").split(b"\0")
    if answer.returncode == 1:
        return Conflict(tuple(sorted({shown(path) for path in paths if path})))
    tree = merged_tree.decode()
    return await native(repo.layout, lambda repository: act(repository, tree, sides.mainline_tree))


def _sides(repository: pygit2.Repository, mainline_sha: str, branch_sha: str) -> _Sides:
    trees = [tree_id(repository, sha) for sha in (mainline_sha, branch_sha)]
    mainline, branch = (tree_entries(repository, tree) for tree in trees)
    plain = without_operational(branch, mainline)
    base = fork_point(repository, mainline_sha, branch_sha)
    if base is not None:
        root = tree_entries(repository, tree_id(repository, base))
        # Operational files are the mainline's on every side, the base included: they take no part.
        merged = merge_apart(repository, without_operational(root, mainline), mainline, plain)
        if merged is not None:
            return _Sides(trees[0], merged, branch_sha)
    if encode_tree(plain) == encode_tree(branch):
        return _Sides(trees[0], None, branch_sha)
    tree = write(repository, "tree", encode_tree(plain))
    aside = encode_commit(tree, (branch_sha,), b"Leave operational files aside\n", IRONCLAW, IRONCLAW, 0)
    return _Sides(trees[0], None, write(repository, "commit", aside))


async def swap_ref(repo: Repository, ref: str, new: str, expected_old: str, reason: str) -> None:
    """Move `ref` from one commit to another, or raise `StaleRef` when it stands elsewhere by now."""
    check_ref(ref)
    for sha in (new, expected_old):
        check_sha(sha)
    await native(repo.layout, lambda repository: swap(repository, ref, new, expected_old, reason))
