"""Keeping work on refs of the theater's repository, out of the way of branches and of the next attempt."""

import asyncio
import contextlib
import secrets
import shutil
from pathlib import Path

from ironclaw_git.changes import find_changes, stage, stage_exactly
from ironclaw_git.errors import GitError, NotARepository, OutputTooLarge, StaleRef, UnknownObject
from ironclaw_git.hardened import git
from ironclaw_git.layout import Layout, record_of
from ironclaw_git.locks import exclusive
from ironclaw_git.merge import swap_ref
from ironclaw_git.names import IRONCLAW, archive_ref, check_sha, order_branch, salvage_ref
from ironclaw_git.objects import EMPTY_TREE
from ironclaw_git.paths import absolute
from ironclaw_git.refdb import NOTHING
from ironclaw_git.repository import Repository, commit_tree


async def salvage(repo: Repository, worktree_path: str | Path, order_id: str, attempt: int) -> str | None:
    """Keep what is uncommitted in a worktree as a commit on its salvage ref; return it, or None.

    The worktree, its index and its branch stay as they are. Goes by the repository's own record, so that a
    lost or altered `.git` in the worktree does no harm. Called again it returns the same commit; when more
    has changed since, a new one that contains the former. Raises `NotARepository` without a record.
    """
    ref = salvage_ref(order_id, attempt)
    record = record_of(repo.git_dir, absolute(worktree_path))
    if record is None or record.path.is_symlink() or not record.path.is_dir():
        raise NotARepository(
            f"{worktree_path} is no worktree of {repo.git_dir}; there is nothing to salvage from"
        )
    layout = Layout(record.admin_dir, repo.git_dir, record.path)
    async with exclusive(record.admin_dir):
        kept = await repo.ref(ref)
        head = await _head(repo, layout, order_branch(order_id, attempt))
        tree = await _worktree_tree(layout, head)
        head_tree, kept_tree = await _trees(repo, (head, kept))
        if tree in {head_tree, kept_tree}:
            return kept
        parents = tuple(parent for parent in (head, kept) if parent is not None)
        message = f"Salvage of order {order_id}, attempt {attempt}"
        commit = await commit_tree(layout, tree, parents, message, IRONCLAW)
        await swap_ref(repo, ref, commit, kept or NOTHING, "ironclaw: salvage")
        return commit


async def _head(repo: Repository, layout: Layout, branch: str) -> str | None:
    """Return the worktree's commit; where its HEAD is unusable, that of the attempt's branch."""
    found = await git(layout, "rev-parse", "-q", "--verify", "HEAD^{commit}", check=False)
    if found.returncode == 0:
        return found.line
    with contextlib.suppress(UnknownObject):
        return await repo.resolve(branch)
    return None


async def _trees(repo: Repository, commits: tuple[str | None, ...]) -> list[str]:
    """Return the tree of each commit in one process; of none, the empty tree."""
    asked = [f"{commit}^{{tree}}" for commit in commits if commit is not None]
    answer = await repo.git("rev-parse", *asked)
    trees = iter(answer.line.split())
    return [EMPTY_TREE if commit is None else next(trees) for commit in commits]


async def _worktree_tree(layout: Layout, head: str | None) -> str:
    """Store the worktree's files as a tree through an index of its own, and return the tree."""
    folder = layout.git_dir / f"ironclaw-salvage-{secrets.token_hex(4)}"
    await asyncio.to_thread(folder.mkdir)
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    try:
        await git(layout, "read-tree", head or "--empty", env_extra=index)
        changes = await find_changes(layout, index)
        try:
            await stage(layout, changes, index)
        except OutputTooLarge:
            raise
        except GitError:
            # The attributes of a worktree may ask for the impossible; its bytes can still be kept.
            await git(layout, "read-tree", head or "--empty", env_extra=index)
            await stage_exactly(layout, changes, index)
        return (await git(layout, "write-tree", env_extra=index)).line
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def archive_by_ref(repo: Repository, sha: str, order_id: str, attempt: int) -> str:
    """Keep a commit on the attempt's archive ref and return the ref: for branches that are clean.

    Called again with the same commit, or one that contains it, it converges; raises `StaleRef` when the
    ref keeps other work, which it never drops.
    """
    return await _keep(repo, archive_ref(order_id, attempt), sha, "archive")


async def salvage_by_ref(repo: Repository, sha: str, order_id: str, attempt: int) -> str:
    """Keep a commit on the attempt's salvage ref and return the ref: for clean branches that are not merged.

    Nothing to do when the ref keeps a commit that contains it. Raises `StaleRef` as `archive_by_ref`.
    """
    ref = salvage_ref(order_id, attempt)
    kept = await repo.ref(ref)
    if kept is not None and await repo.is_ancestor(check_sha(sha), kept):
        return ref
    return await _keep(repo, ref, sha, "salvage")


async def _keep(repo: Repository, ref: str, sha: str, why: str) -> str:
    kept = await repo.ref(ref)
    if kept == check_sha(sha):
        return ref
    if kept is not None and not await repo.is_ancestor(kept, sha):
        raise StaleRef(f"{ref} keeps {kept}, which {sha} does not contain; archive under another attempt")
    await swap_ref(repo, ref, sha, kept or NOTHING, f"ironclaw: {why}")
    return ref
