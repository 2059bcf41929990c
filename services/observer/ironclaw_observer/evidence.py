"""Gather the facts of a completed order from its repository."""

import asyncio
from pathlib import Path

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_observer.validation import Facts

_ARTIFACT_BYTES_MAX = 64 * 1024 * 1024


async def gather_facts(order: OrderSnapshot) -> Facts:
    """Return what the order's commit and worktree hold. Raises `GitError` when they cannot be read at all."""
    worktree = order.worktree
    if worktree is None or order.commit_sha is None:
        return Facts(commit_present=False, tree_clean=False, dirty_paths=[], aar=None, artifacts={})
    repository = await Repository.open(worktree.path)
    commit = order.commit_sha
    (standing, aar), contents = await asyncio.gather(
        asyncio.gather(
            ironclaw_git.status(Path(worktree.path), repository), _content(repository, commit, AAR_FILE)
        ),
        asyncio.gather(*(_content(repository, commit, artifact.path) for artifact in order.artifacts)),
    )
    return Facts(
        commit_present=standing.head == commit and standing.branch == worktree.branch,
        tree_clean=standing.clean,
        dirty_paths=standing.changed,
        aar=aar,
        artifacts={a.path: content for a, content in zip(order.artifacts, contents, strict=True)},
    )


async def _content(repository: Repository, commit: str, path: str) -> bytes | None:
    try:
        return await repository.read_file(commit, path, _ARTIFACT_BYTES_MAX)
    except (ironclaw_git.UnknownObject, ironclaw_git.UnsafePath, ironclaw_git.OutputTooLarge):
        return None
