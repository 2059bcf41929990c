"""Gather what the gates look at from the repository."""

import asyncio
import posixpath
from pathlib import Path

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_integration.gates import MergeFacts

_ARTIFACT_BYTES_MAX = 64 * 1024 * 1024
_SYMLINK_MODE = "120000"


async def gather_facts(
    repository: Repository, order: OrderSnapshot, commit: str, onto: str, merged: str
) -> MergeFacts:
    """Return the facts of a merge: `commit` is the order's, `onto` the mainline's, `merged` the candidate."""
    (changed, leftovers, aar), contents = await asyncio.gather(
        asyncio.gather(
            repository.changed_paths(onto, merged),
            _leftovers(repository, order),
            _content(repository, commit, AAR_FILE),
        ),
        asyncio.gather(*(_content(repository, merged, artifact.path) for artifact in order.artifacts)),
    )
    links = [c.path for c in changed if c.mode == _SYMLINK_MODE]
    targets = await asyncio.gather(*(_content(repository, merged, path) for path in links))
    outside = [path for path, target in zip(links, targets, strict=True) if _leads_outside(path, target)]
    return MergeFacts(
        aar=aar,
        artifacts={a.path: content for a, content in zip(order.artifacts, contents, strict=True)},
        changed=[c.path for c in changed],
        links=outside,
        leftovers=leftovers,
    )


def _leads_outside(path: str, target: bytes | None) -> bool:
    text = (target or b"/").decode("utf-8", "replace")
    return text.startswith("/") or posixpath.normpath(
        posixpath.join(posixpath.dirname(path), text)
    ).startswith("..")


async def _leftovers(repository: Repository, order: OrderSnapshot) -> list[str]:
    if order.worktree is None or not await asyncio.to_thread(Path(order.worktree.path).is_dir):
        return []
    return (await ironclaw_git.status(order.worktree.path, repository)).changed


async def _content(repository: Repository, commit: str, path: str) -> bytes | None:
    try:
        return await repository.read_file(commit, path, _ARTIFACT_BYTES_MAX)
    except (ironclaw_git.UnknownObject, ironclaw_git.UnsafePath, ironclaw_git.OutputTooLarge):
        return None
