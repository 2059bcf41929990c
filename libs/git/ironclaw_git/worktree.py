"""The worktree of an order's attempt: made, found again after a crash, removed.

Each function can be called again after a crash at any point and converges. A worktree that somebody has
worked in is never deleted unless its work is kept elsewhere (DESIGN, "Done means committed").
"""

import asyncio
import contextlib
import secrets
import shutil
from itertools import count
from pathlib import Path

import pygit2
from msgspec import Struct

from ironclaw_contracts.material import Touched
from ironclaw_git.changes import find_changes
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.errors import NotARepository, Occupied, StaleRef, UnsafePath, WouldLoseWork
from ironclaw_git.hardened import git, hardened_settings
from ironclaw_git.history import contains_all
from ironclaw_git.layout import (
    HALF_MADE,
    WORKTREES,
    Layout,
    WorktreeRecord,
    head_ref,
    locate,
    record_of,
    stands,
    worktree_records,
)
from ironclaw_git.names import branch_ref, check_sha
from ironclaw_git.native import opened, unbroken
from ironclaw_git.paths import absolute, shown
from ironclaw_git.populate import populate
from ironclaw_git.refdb import NOTHING, standing, swap
from ironclaw_git.repository import Repository

_CHECKOUT_TIMEOUT_SECONDS = 300.0


class Worktree(Struct, frozen=True):
    """A linked worktree, the branch that is out in it, and the commit that the branch stands on."""

    path: Path
    branch: str
    head: str


async def add_worktree(
    repo: Repository,
    path: str | Path,
    branch: str,
    base_commit: str,
    *,
    touched: Touched | None = None,
) -> Worktree:
    """Make a worktree at `path` with `branch` out, starting at `base_commit`, or return the one there.

    Folders of which `touched` names nothing that is read are left out, as by git's sparse checkout, unless
    git has to do it.

    A branch that exists keeps its commits; one that has none of its own moves up to `base_commit`. What a
    crash left half made is made anew. Raises `Occupied` when the path or the branch serves something else.
    """
    target, ref = absolute(path), branch_ref(branch)
    check_sha(base_commit, "base_commit")
    if target.is_relative_to(repo.git_dir):
        raise UnsafePath(f"{target} lies inside the repository {repo.git_dir}")
    async with repo.lock():
        for record in worktree_records(repo.git_dir):
            if record.path == target or record.head_ref == ref:
                found = await _settle(repo, record, target, ref)
                if found is not None:
                    return Worktree(target, branch, found)
        await hardened_settings(repo.layout)
        head, layout = await unbroken(lambda: _begin(repo, target, ref, base_commit))
        if not await populate(layout, head, touched):
            await git(layout, "read-tree", "--reset", "-u", head, timeout=_CHECKOUT_TIMEOUT_SECONDS)
        (layout.git_dir / "locked").unlink()
        return Worktree(target, branch, head)


def _link(repo: Repository, target: Path, ref: str) -> Layout:
    """Make the record of a worktree and its folder, empty but for the pointer to it.

    Until its files are out it stays locked as half made, as `git worktree add` would leave it when it is
    cut off (gitrepository-layout(5)).
    """
    records = repo.git_dir / WORKTREES
    records.mkdir(exist_ok=True)
    places = (_admin_dir(records, target, number) for number in count())
    admin_dir = next(place for place in places if place is not None)
    (admin_dir / "locked").write_text(HALF_MADE)
    (admin_dir / "gitdir").write_text(f"{target / '.git'}\n")
    (admin_dir / "commondir").write_text("../..\n")
    (admin_dir / "HEAD").write_text(f"ref: {ref}\n")
    target.mkdir(exist_ok=True)
    (target / ".git").write_text(f"gitdir: {admin_dir}\n")
    return Layout(admin_dir, repo.git_dir, target)


def _admin_dir(records: Path, target: Path, number: int) -> Path | None:
    """Make the folder of a record, named for the worktree; None when that name is taken."""
    place = records / f"{target.name}{number or ''}"
    try:
        place.mkdir()
    except FileExistsError:
        return None
    return place


async def _settle(repo: Repository, record: WorktreeRecord, target: Path, ref: str) -> str | None:
    """Return the head of an existing worktree that is the wanted one, or clear the way for a new one."""
    if record.half_made or not stands(record.path):
        await asyncio.to_thread(_discard, record.path, record.admin_dir)
        return None
    if record.path != target:
        raise Occupied(f"branch {ref} is already out at {record.path}; remove that worktree first")
    if record.head_ref != ref:
        raise Occupied(f"{target} already has {record.head_ref or 'a detached HEAD'} out, not {ref}")
    await asyncio.to_thread(_repoint, record)
    return await repo.resolve(ref)


def _repoint(record: WorktreeRecord) -> None:
    """Write the worktree's `.git` file again when it was lost or altered; its files stay."""
    with contextlib.suppress(NotARepository, UnsafePath):
        if locate(record.path).git_dir == record.admin_dir:
            return
    pointer = record.path / ".git"
    if (
        record.path.is_symlink()
        or not record.path.is_dir()
        or (pointer.is_dir() and not pointer.is_symlink())
    ):
        raise Occupied(f"{record.path} was replaced by something else; archive and remove it, then retry")
    fresh = record.path / f".git.{secrets.token_hex(4)}"
    fresh.write_text(f"gitdir: {record.admin_dir}\n")
    fresh.replace(pointer)


def _make_room(repo: Repository, target: Path) -> None:
    """Clear what a cut-off removal left at `target`; raise `Occupied` for anything else."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    if not stands(target):
        return
    if target.is_symlink() or not target.is_dir() or any(target.iterdir()):
        raise Occupied(f"{target} already exists and is no worktree of {repo.git_dir}; move it away")


def _begin(repo: Repository, target: Path, ref: str, base_commit: str) -> tuple[str, Layout]:
    """Make a branch, and a worktree for it without files; return where the branch stands."""
    _make_room(repo, target)
    with opened(repo.git_dir) as repository:
        head = _start_branch(repository, ref, base_commit)
    return head, _link(repo, target, ref)


def _start_branch(repository: pygit2.Repository, ref: str, base_commit: str) -> str:
    """Make a branch, or move one that has no commit of its own up to the base; return where it stands."""
    head = standing(repository, ref)
    if head is not None and (head == base_commit or not contains_all(repository, base_commit, [head])):
        return head
    swap(repository, ref, base_commit, head or NOTHING, "ironclaw: start from the current mainline")
    return base_commit


def _trash_prefix(path: Path) -> str:
    return f".{path.name}.removed-"


def _sweep(path: Path) -> None:
    """Delete what earlier removals of `path` were cut off from deleting."""
    for left in path.parent.glob(_trash_prefix(path) + "*"):
        shutil.rmtree(left, ignore_errors=True)


def _discard(path: Path, admin_dir: Path | None) -> None:
    """Remove a worktree: out of sight at once, its record next, its files last."""
    trash = path.with_name(_trash_prefix(path) + secrets.token_hex(4))
    with contextlib.suppress(FileNotFoundError):
        path.rename(trash)
    if admin_dir is not None:
        shutil.rmtree(admin_dir, ignore_errors=True)
    if trash.is_symlink() or trash.is_file():
        trash.unlink()
    _sweep(path)


async def remove_worktree(repo: Repository, path: str | Path, *, preserved: bool) -> None:
    """Remove a worktree; its branch stays. Nothing to do when there is none.

    Unless `preserved` says that the work was archived, raises `WouldLoseWork` when the worktree is dirty,
    cannot be read, or holds commits that neither the mainline nor a ref under refs/ironclaw contains.
    """
    target = absolute(path)
    async with repo.lock():
        record = record_of(repo.git_dir, target)
        if record is None:
            if stands(target):
                raise NotARepository(f"{target} is not a worktree of {repo.git_dir}; nothing was removed")
            await asyncio.to_thread(_sweep, target)
            return
        if record.lock is not None and not record.half_made:
            raise Occupied(f"{target} is locked ({record.lock or 'no reason given'}): git worktree unlock it")
        if not preserved and not record.half_made and stands(target):
            await _require_kept(repo, record)
        await asyncio.to_thread(_discard, target, record.admin_dir)


async def _require_kept(repo: Repository, record: WorktreeRecord) -> None:
    try:
        changes = await find_changes(worktree_layout(record.path, repo))
    except (NotARepository, UnsafePath) as problem:
        raise WouldLoseWork(f"{record.path} cannot be read ({problem}); archive it first") from problem
    if changes.paths:
        paths = [shown(path) for path in changes.paths]
        raise WouldLoseWork(
            f"{record.path} has {len(paths)} changed files, first {paths[0]}; archive it first", paths=paths
        )
    if changes.head is None:
        return
    keeper = await repo.git(
        *("for-each-ref", "--count=1", "--format=%(refname)", f"--contains={changes.head}"),
        *(repo.mainline_ref, "refs/ironclaw"),
    )
    if not keeper.stdout:
        raise WouldLoseWork(
            f"{record.path} has commits up to {changes.head}, neither merged nor archived; archive it first"
        )


async def delete_branch(repo: Repository, branch: str, expected: str) -> None:
    """Delete a branch that stands on `expected`, which the mainline or a ref under refs/ironclaw contains.

    Nothing to do when it is gone. Raises `StaleRef`, `WouldLoseWork`, and `Occupied` while it is out.
    """
    ref = branch_ref(branch)
    keepers = await repo.git(
        *("for-each-ref", "--format=%(refname)", f"--contains={check_sha(expected)}"),
        *(repo.mainline_ref, "refs/ironclaw"),
    )
    if not keepers.stdout or ref == repo.mainline_ref:
        raise WouldLoseWork(f"{branch} at {expected} is neither merged nor archived; archive it first")
    async with repo.lock():
        if any(record.head_ref == ref for record in worktree_records(repo.git_dir)):
            raise Occupied(f"branch {branch} is out in a worktree; remove that first")
        if head_ref(repo.git_dir) == ref:
            raise Occupied(f"branch {branch} is out in {repo.work_tree or repo.git_dir}")
        found = await repo.ref(ref)
        if found is None:
            return
        if found != expected:
            raise StaleRef(f"{ref} stands on {found}, not on {expected}")
        await repo.git("update-ref", "-d", ref, expected)
