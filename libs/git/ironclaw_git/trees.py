"""Whole trees outside any worktree: laid out as plain files, and commits made by changing single files."""

import asyncio
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ironclaw_git.hardened import git
from ironclaw_git.layout import Layout
from ironclaw_git.names import IRONCLAW, check_sha
from ironclaw_git.paths import check_relative_path
from ironclaw_git.repository import Repository, commit_tree

_CHECKOUT_TIMEOUT_SECONDS = 300.0


async def export_tree(repo: Repository, commit: str, folder: str | Path) -> None:
    """Write every file of a commit below `folder`, an empty one, as plain files: there is no `.git`.

    No hook and no filter runs; links are made as links, submodules are left out. Raises `UnknownObject`.
    """
    target = Layout(repo.git_dir, repo.git_dir, Path(folder))
    with tempfile.TemporaryDirectory(prefix="ironclaw-index-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        await git(target, "read-tree", check_sha(commit), env_extra=index, timeout=_CHECKOUT_TIMEOUT_SECONDS)
        await git(target, "checkout-index", "-a", "-q", env_extra=index, timeout=_CHECKOUT_TIMEOUT_SECONDS)


async def commit_changed(
    repo: Repository, parent: str, files: Mapping[str, bytes | None], message: str
) -> str:
    """Return a new commit on `parent` with these files written, or removed where None; no ref moves.

    Raises `UnsafePath`, `UnknownObject`.
    """
    with tempfile.TemporaryDirectory(prefix="ironclaw-index-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        await git(repo.layout, "read-tree", check_sha(parent), env_extra=index)
        blobs = await asyncio.gather(*(_store(repo, data) for data in files.values()))
        lines = [
            f"{'100644' if blob else '0'} {blob or '0' * 40}\t{check_relative_path(path)}"
            for path, blob in zip(files, blobs, strict=True)
        ]
        stdin = "".join(f"{line}\0" for line in lines).encode()
        await git(repo.layout, "update-index", "-z", "--index-info", input=stdin, env_extra=index)
        tree = (await git(repo.layout, "write-tree", env_extra=index)).line
    return await commit_tree(repo.layout, tree, (parent,), message, IRONCLAW)


async def _store(repo: Repository, data: bytes | None) -> str | None:
    if data is None:
        return None
    return (await repo.git("hash-object", "-w", "--stdin", input=data)).line


async def join(repo: Repository, onto: str, tip: str, message: str, *, when: datetime) -> str:
    """Return a commit that brings the chain ending in `tip` onto `onto` as one step; no ref moves.

    Its tree is that of `tip`, its first parent `onto`: so the first-parent history has only trees that
    were judged whole. `when` dates it, so that the same chain joined again is the same commit.
    """
    tree = await repo.tree_of(tip)
    return await commit_tree(repo.layout, tree, (check_sha(onto), tip), message, IRONCLAW, IRONCLAW, when)
