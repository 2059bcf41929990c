"""All files of a worktree stored as a tree and put into its index, in this process."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pygit2
from msgspec import Struct

from ironclaw_git.errors import GitError
from ironclaw_git.hardened import leaves_files_alone
from ironclaw_git.layout import Layout, head_ref
from ironclaw_git.native import under_lock
from ironclaw_git.objects import EMPTY_TREE
from ironclaw_git.odb import TREE_MODE, header, require, tree_entries, write
from ironclaw_git.refdb import commit_at
from ironclaw_git.scan import entries_before, files_below, look_through, trees_of
from ironclaw_git.stagefile import IndexEntry, IndexLock
from ironclaw_git.verbatim import is_plain_name, require_no_rules

T = TypeVar("T")


class Staged(Struct, frozen=True):
    """What stands in an index: its tree, and the commit that the worktree's HEAD is at, if any."""

    head: str | None
    tree: str


async def with_snapshot(layout: Layout, act: Callable[[pygit2.Repository, Staged], T]) -> T | None:
    """Bring a worktree's index to what lies there, store its tree, and do something with that.

    None, and nothing done, where git has to look.
    """
    ref = head_ref(layout.git_dir)
    root = layout.work_tree
    if root is None or ref is None or not ref.startswith("refs/heads/"):
        return None
    if not await leaves_files_alone(layout):
        return None
    looked: list[Staged] = []

    def work(repository: pygit2.Repository) -> T:
        looked.append(_stage(repository, layout, root, ref))
        return act(repository, looked[0])

    try:
        return await under_lock(layout, work)
    except GitError:
        if looked:
            raise
        return None  # git says better what is wrong, if anything is


def _stage(repository: pygit2.Repository, layout: Layout, root: Path, ref: str) -> Staged:
    head = commit_at(repository, ref)
    require_no_rules(layout.common_dir)
    with IndexLock(layout.git_dir) as lock:
        before, index_ns = entries_before(layout)
        found = files_below(root, is_plain_name)
        scanned = look_through(partial(tree_entries, repository), root, before, index_ns, found)
        for data in scanned.blobs:
            write(repository, "blob", data)
        for data in scanned.trees:
            write(repository, "tree", data)
        tree = _store(repository, scanned.entries)
        if scanned.entries != list(before.values()):
            lock.replace(scanned.entries)
    return Staged(head, tree)


def _store(repository: pygit2.Repository, entries: Iterable[IndexEntry]) -> str:
    """Store the trees of these entries, and return the id of the whole."""
    stored = {entry.oid for entry in entries if entry.left_out}  # as a tree of the repository has it
    whole = EMPTY_TREE
    for whole, data, held in trees_of(entries):
        if header(repository, whole) is None:
            for one in held:
                if one.oid not in stored:
                    require(repository, one.oid.hex(), "tree" if one.mode == TREE_MODE else "blob")
        write(repository, "tree", data)
    return whole
