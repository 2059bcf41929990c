"""A checkout as somebody works in it: how it stands, and committing what is there."""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from msgspec import Struct

from ironclaw_git.changes import find_changes, find_no_changes, stage
from ironclaw_git.errors import NotARepository, StaleRef, UnknownObject, UnsafePath
from ironclaw_git.hardened import git
from ironclaw_git.history import committed_at
from ironclaw_git.layout import Layout, head_ref, locate
from ironclaw_git.locks import exclusive
from ironclaw_git.names import IRONCLAW, Person, check_message, check_person, check_sha
from ironclaw_git.native import native
from ironclaw_git.odb import tree_id
from ironclaw_git.paths import check_relative_path, shown
from ironclaw_git.refdb import NOTHING, swap
from ironclaw_git.repository import Repository, store_commit
from ironclaw_git.scan import find_unchanged
from ironclaw_git.snapshot import Staged, with_snapshot
from ironclaw_git.sparse import read_folders
from ironclaw_git.stagefile import is_ours

# No git of ours runs in the worktree while its lock is held, so an older index.lock is a crash's. One that
# is not git's is so at any age.
_STALE_LOCK_SECONDS = 60.0
_FOLLOW_SECONDS = 300.0


class WorktreeStatus(Struct, frozen=True):
    """How a worktree stands. `changed` are paths that differ from `head`, ignored files left out.

    `last_change_at` is the newest change among those files, the worktree's HEAD and its last commit. No
    file can date it into the future: a modification time counts at most as its change time.
    """

    head: str
    branch: str | None
    clean: bool
    changed: list[str]
    last_commit_at: datetime
    last_change_at: datetime


def worktree_layout(path: str | Path, repo: Repository | None = None) -> Layout:
    """Return where a checkout's parts lie; with `repo`, raise `UnsafePath` unless it belongs to it.

    Give `repo` wherever it is known: whoever works in a worktree can replace its `.git`.
    """
    found = locate(path)
    if found.work_tree is None:
        raise NotARepository(f"{path} is a bare repository, not a worktree")
    if repo is not None and found.common_dir != repo.git_dir:
        raise UnsafePath(f"{path} is a worktree of {found.common_dir}, not of {repo.git_dir}")
    return found


async def status(path: str | Path, repo: Repository | None = None) -> WorktreeStatus:
    """Return how the worktree at `path` stands; writes nothing, takes no lock."""
    layout = worktree_layout(path, repo)
    look = find_no_changes if read_folders(layout) is None else find_unchanged
    changes = await look(layout) or await find_changes(layout)
    head = changes.head
    if head is None:
        raise UnknownObject(f"{path} has no commit yet")

    def dates(repository: pygit2.Repository) -> tuple[datetime, float]:
        return committed_at(repository, head), _newest_change(layout, changes.paths)

    last_commit_at, newest = await native(layout, dates)
    last = datetime.fromtimestamp(newest, UTC)
    return WorktreeStatus(
        head=head,
        branch=changes.branch,
        clean=not changes.paths,
        changed=[shown(found) for found in changes.paths],
        last_commit_at=last_commit_at,
        last_change_at=max(last, min(last_commit_at, datetime.now(UTC))),
    )


def _newest_change(layout: Layout, paths: Iterable[bytes]) -> float:
    """Return the newest change in seconds since the epoch; of a deleted file, its folder's."""
    newest = _changed_at(layout.git_dir / "HEAD") or 0.0
    root = layout.work_tree or layout.git_dir
    for path in paths:
        place = root / os.fsdecode(path)
        while (changed := _changed_at(place)) is None and place != root:
            place = place.parent
        newest = max(newest, changed or 0.0)
    return newest


def _changed_at(path: Path) -> float | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return min(found.st_mtime, found.st_ctime)


async def commit_all(
    path: str | Path,
    message: str,
    author: Person,
    paths: Sequence[str] | None = None,
    *,
    repo: Repository | None = None,
    allow_empty: bool = False,
    committer: Person = IRONCLAW,
) -> str:
    """Commit what differs in the worktree (only at or below `paths`, when given) and return the new head.

    Tracked and untracked files, ignored ones left out; no hook and no filter runs. Returns the head as it
    is when there is nothing to commit, unless `allow_empty`. Raises `StaleRef` when the branch moved.
    """
    chosen = None if paths is None else [check_relative_path(one) for one in paths]
    check_message(message)
    check_person(author)
    check_person(committer)
    layout = worktree_layout(path, repo)
    async with exclusive(layout.git_dir):
        drop_stale_lock(layout.git_dir / "index.lock")
        ref = head_ref(layout.git_dir)

        def commit(repository: pygit2.Repository, staged: Staged) -> str:
            head = staged.head
            if head is not None and not allow_empty and staged.tree == tree_id(repository, head):
                return head
            parents = () if head is None else (head,)
            made = store_commit(repository, staged.tree, parents, message, author, committer)
            if ref is not None:
                swap(repository, ref, made, head or NOTHING, "ironclaw: commit")
            return made

        made = await with_snapshot(layout, commit) if chosen is None else None
        if made is None:
            staged = await _stage(layout, chosen)
            made = await native(layout, lambda repository: commit(repository, staged))
            if ref is None and made != staged.head:
                await _move_detached(layout, made, staged.head)
        return made


async def _stage(layout: Layout, chosen: Sequence[str] | None) -> Staged:
    """Put the changes into the index by git, which knows what every file means."""
    found = await find_changes(layout)
    changes = found if chosen is None else found.within(chosen)
    if not changes.paths and found.head is not None:
        return Staged(found.head, await _tree_of(layout, found.head))
    await stage(layout, changes)
    return Staged(found.head, (await git(layout, "write-tree")).line)


async def _tree_of(layout: Layout, commit: str) -> str:
    return await native(layout, lambda repository: tree_id(repository, commit))


async def _move_detached(layout: Layout, commit: str, expected: str | None) -> None:
    """Move a detached HEAD; raise `StaleRef` when it moved meanwhile."""
    args = ("update-ref", "-m", "ironclaw: commit", "HEAD", commit, expected or "")
    moved = await git(layout, *args, check=False)
    if moved.returncode != 0:
        raise StaleRef(f"{layout.work_tree}: HEAD moved while committing: {moved.stderr.strip()[-300:]}")


def drop_stale_lock(lock: Path) -> None:
    """Remove an index lock that we, or a git of ours, left when killed.

    For where nothing of ours can be at work on that index: under the lock on the worktree, or the mainline's.
    """
    with contextlib.suppress(FileNotFoundError):
        if time.time() - lock.lstat().st_mtime > _STALE_LOCK_SECONDS or is_ours(lock):
            lock.unlink()


async def follow_branch(path: str | Path, commit: str, repo: Repository) -> None:
    """Bring a worktree to the commit that its branch was moved to from elsewhere.

    What was in the way is lost: only for a worktree in which nobody works. Raises `StaleRef` when its
    branch stands on another commit.
    """
    check_sha(commit)
    layout = worktree_layout(path, repo)
    async with exclusive(layout.git_dir):
        drop_stale_lock(layout.git_dir / "index.lock")
        head = (await git(layout, "rev-parse", "--verify", "HEAD")).line
        if head != commit:
            raise StaleRef(f"{path}: its branch stands on {head}, not on {commit}")
        await git(layout, "reset", "-q", "--hard", commit, timeout=_FOLLOW_SECONDS)
