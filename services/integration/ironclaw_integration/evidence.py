"""Gather what the gates look at from the repository."""

import asyncio
from pathlib import Path

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE, ORDER_FILE, STATE_FILE, TASK_FILE, TRANSCRIPT_FILE
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import ChangedPath, NewBlobs, Repository
from ironclaw_integration.definition import MIB, Gates
from ironclaw_integration.gates import MergeFacts
from ironclaw_sandbox import Finding, scan
from ironclaw_sandbox.pathpolicy import Change

_ARTIFACT_BYTES_MAX = 64 * MIB
_LINK = "120000"
_LINK_BYTES_MAX = 4_096
_GIVEN = frozenset({ORDER_FILE, TASK_FILE, STATE_FILE})
"""Files of the branch that the fleet wrote, not the unit."""
_BINARY_LOOK_BYTES = 8_000


async def gather_facts(
    repository: Repository, order: OrderSnapshot, commit: str, onto: str, merged: str, gates: Gates
) -> MergeFacts:
    """Return the facts of a merge: `commit` is the order's, `onto` the mainline's, `merged` the candidate."""
    reported = [artifact.path for artifact in order.artifacts]
    base = order.worktree.base_commit if order.worktree is not None else onto
    changed, ours, leftovers, files, landed, history = await asyncio.gather(
        repository.changed_paths(onto, merged),
        repository.changed_paths(base, commit),
        _leftovers(repository, order),
        _read(repository, commit, [AAR_FILE, TRANSCRIPT_FILE, *reported]),
        _present(repository, merged, reported),
        repository.new_blobs(
            commit, onto, file_bytes_max=gates.size.file_bytes_max, total_bytes_max=gates.size.total_bytes_max
        ),
    )
    changes, secrets = await asyncio.gather(
        _changes(repository, merged, changed), _secrets(repository, onto, changed, history, gates)
    )
    return MergeFacts(
        aar=files.get(AAR_FILE),
        artifacts={path: files.get(path) for path in reported},
        landed=frozenset(landed),
        transcript=files.get(TRANSCRIPT_FILE),
        own=frozenset(change.path for change in ours),
        changes=changes,
        history=history,
        secrets=secrets,
        leftovers=leftovers,
    )


async def _changes(repository: Repository, merged: str, changed: list[ChangedPath]) -> list[Change]:
    sizes, links = await asyncio.gather(
        repository.object_sizes([c.sha for c in changed]),
        _read(repository, merged, [c.path for c in changed if c.mode == _LINK], _LINK_BYTES_MAX),
    )
    return [
        Change(
            path=c.path,
            mode=int(c.mode, 8),
            bytes=size,
            link=(links.get(c.path) or b"").decode("utf-8", "replace"),
        )
        for c, size in zip(changed, sizes, strict=True)
    ]


async def _secrets(
    repository: Repository, onto: str, changed: list[ChangedPath], history: NewBlobs, gates: Gates
) -> list[Finding]:
    """Return the secrets that the branch's history adds; what the mainline has already is not new."""
    if not gates.secrets.scan:
        return []
    found = await asyncio.to_thread(_scan, [one for one in history.read if one[0] not in _GIVEN])
    found = [one for one in found if one.fingerprint not in gates.secrets.allowed]
    if not found:
        return []
    there = await _read(repository, onto, [c.path for c in changed if c.status != "A"])
    known = {one.fingerprint for one in await asyncio.to_thread(_scan, _present_files(there))}
    return [one for one in found if one.fingerprint not in known]


def _present_files(files: dict[str, bytes | None]) -> list[tuple[str, bytes]]:
    return [(path, data) for path, data in files.items() if data is not None]


def _scan(files: list[tuple[str, bytes]]) -> list[Finding]:
    return [
        found
        for path, data in files
        if b"\x00" not in data[:_BINARY_LOOK_BYTES]
        for found in scan(path, enumerate(data.decode("utf-8", "replace").splitlines(), start=1))
    ]


async def _leftovers(repository: Repository, order: OrderSnapshot) -> list[str]:
    if order.worktree is None or not await asyncio.to_thread(Path(order.worktree.path).is_dir):
        return []
    return (await ironclaw_git.status(order.worktree.path, repository)).changed


async def _present(repository: Repository, commit: str, paths: list[str]) -> list[str]:
    safe = [path for path in paths if _is_safe(path)]
    return list(await repository.sizes(commit, safe)) if safe else []


async def _read(
    repository: Repository, commit: str, paths: list[str], file_bytes_max: int = _ARTIFACT_BYTES_MAX
) -> dict[str, bytes | None]:
    """Return the bytes of files of a commit. What no tree of ours may hold is not looked for."""
    safe = [path for path in paths if _is_safe(path)]
    return await repository.read_files(commit, safe, file_bytes_max) if safe else {}


def _is_safe(path: str) -> bool:
    try:
        ironclaw_git.check_relative_path(path)
    except ironclaw_git.UnsafePath:
        return False
    return True
