"""Gather the facts of a completed order from its repository."""

import asyncio
from pathlib import Path

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Reading, Repository
from ironclaw_observer.validation import Facts

_ARTIFACT_BYTES_MAX = 64 * 1024 * 1024


async def gather_facts(order: OrderSnapshot) -> Facts:
    """Return what the order's commit and worktree hold. Raises `GitError` when they cannot be read at all."""
    worktree = order.worktree
    if worktree is None or order.commit_sha is None:
        return Facts(commit_present=False, tree_clean=False, dirty_paths=[], aar=None, artifacts={})
    repository = await Repository.open(worktree.path)
    commit = order.commit_sha
    paths = [AAR_FILE, *(artifact.path for artifact in order.artifacts)]
    standing, contents = await asyncio.gather(
        ironclaw_git.status(Path(worktree.path), repository),
        repository.reading(lambda now: {path: _content(now, commit, path) for path in paths}),
    )
    return Facts(
        commit_present=standing.head == commit and standing.branch == worktree.branch,
        tree_clean=standing.clean,
        dirty_paths=standing.changed,
        aar=contents[AAR_FILE],
        artifacts={artifact.path: contents[artifact.path] for artifact in order.artifacts},
    )


def _content(now: Reading, commit: str, path: str) -> bytes | None:
    try:
        return now.read_file(commit, path, _ARTIFACT_BYTES_MAX)
    except (ironclaw_git.UnknownObject, ironclaw_git.UnsafePath, ironclaw_git.OutputTooLarge):
        return None
