"""Gather what the gates look at from the repository."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE, ORDER_FILE, STATE_FILE, TASK_FILE, TRANSCRIPT_FILE
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import ChangedPath, NewBlobs, Reading, Repository
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
    facts, leftovers = await asyncio.gather(
        repository.reading(lambda now: _facts(now, order, commit, onto, merged, gates)),
        _leftovers(repository, order),
    )
    return replace(facts, leftovers=leftovers)


def _facts(
    now: Reading, order: OrderSnapshot, commit: str, onto: str, merged: str, gates: Gates
) -> MergeFacts:
    reported = [artifact.path for artifact in order.artifacts]
    base = order.worktree.base_commit if order.worktree is not None else onto
    changed = now.changed_paths(onto, merged)
    files = _read(now, commit, [AAR_FILE, TRANSCRIPT_FILE, *reported])
    history = now.new_blobs(
        commit, onto, file_bytes_max=gates.size.file_bytes_max, total_bytes_max=gates.size.total_bytes_max
    )
    return MergeFacts(
        aar=files.get(AAR_FILE),
        artifacts={path: files.get(path) for path in reported},
        landed=frozenset(now.sizes(merged, [path for path in reported if _is_safe(path)])),
        transcript=files.get(TRANSCRIPT_FILE),
        own=frozenset(change.path for change in now.changed_paths(base, commit)),
        changes=_changes(now, merged, changed),
        history=history,
        secrets=_secrets(now, onto, changed, history, gates),
        leftovers=[],
    )


def _changes(now: Reading, merged: str, changed: list[ChangedPath]) -> list[Change]:
    links = _read(now, merged, [c.path for c in changed if c.mode == _LINK], _LINK_BYTES_MAX)
    return [
        Change(
            path=c.path,
            mode=int(c.mode, 8),
            bytes=size,
            link=(links.get(c.path) or b"").decode("utf-8", "replace"),
        )
        for c, size in zip(changed, now.object_sizes([c.sha for c in changed]), strict=True)
    ]


def _secrets(
    now: Reading, onto: str, changed: list[ChangedPath], history: NewBlobs, gates: Gates
) -> list[Finding]:
    """Return the secrets that the branch's history adds; what the mainline has already is not new."""
    if not gates.secrets.scan:
        return []
    found = _scan([one for one in history.read if one[0] not in _GIVEN])
    found = [one for one in found if one.fingerprint not in gates.secrets.allowed]
    if not found:
        return []
    there = _read(now, onto, [c.path for c in changed if c.status != "A"])
    known = {one.fingerprint for one in _scan(_present_files(there))}
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


def _read(
    now: Reading, commit: str, paths: list[str], file_bytes_max: int = _ARTIFACT_BYTES_MAX
) -> dict[str, bytes | None]:
    """Return the bytes of files of a commit. What no tree of ours may hold is not looked for."""
    return now.read_files(commit, [path for path in paths if _is_safe(path)], file_bytes_max)


def _is_safe(path: str) -> bool:
    try:
        ironclaw_git.check_relative_path(path)
    except ironclaw_git.UnsafePath:
        return False
    return True
