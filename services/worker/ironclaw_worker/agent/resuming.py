"""Go on where a lost unit stopped: its last commit's files, and its record of calls."""

import asyncio
import os
from pathlib import Path

from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.artifacts import OPERATIONAL_FILES, TRANSCRIPT_FILE
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.transcript import ToolCall, decode_transcript
from ironclaw_worker.executor import Assignment

_DELETED = "D"
_LINK_MODE, _EXECUTABLE = "120000", 0o100
_FILE_BYTES_MAX = 64 * 1024 * 1024


class Resumed(Struct, frozen=True):
    """What was taken over. `stale` are paths that the mainline has changed since, which were left."""

    calls: list[ToolCall]
    stale: list[str]


async def resume(assignment: Assignment) -> Resumed:
    """Put the work of the attempt that was lost into the worktree. Nothing where there is none."""
    nothing = Resumed([], [])
    if assignment.lost_attempt is None:
        return nothing
    repository = await ironclaw_git.Repository.open(assignment.worktree)
    head = await _last_commit(repository, assignment.order.order_id, assignment.lost_attempt)
    if head is None:
        return nothing
    base = (await repository.git("merge-base", head, assignment.base_commit)).stdout.decode().strip()
    moved = {c.path for c in await repository.changed_paths(base, assignment.base_commit)}
    stale: list[str] = []
    for entry in await repository.changed_paths(base, head):
        if entry.path in OPERATIONAL_FILES or entry.mode == _LINK_MODE:
            continue
        if entry.path in moved:
            stale.append(entry.path)
            continue
        content = None
        if entry.status != _DELETED:
            content = await repository.read_file(head, entry.path, _FILE_BYTES_MAX)
        await asyncio.to_thread(_put, assignment.worktree / entry.path, content, entry.mode)
    return Resumed(await _calls(repository, head), stale)


async def _last_commit(repository: ironclaw_git.Repository, order_id: str, attempt: int) -> str | None:
    """Return where an attempt stopped: its branch, or what the vault salvaged when it tidied up."""
    branch = f"refs/heads/{ironclaw_git.order_branch(order_id, attempt)}"
    for ref in (branch, ironclaw_git.salvage_ref(order_id, attempt)):
        try:
            return await repository.resolve(ref)
        except ironclaw_git.UnknownObject:
            continue
    return None


async def _calls(repository: ironclaw_git.Repository, head: str) -> list[ToolCall]:
    try:
        return decode_transcript(await repository.read_file(head, TRANSCRIPT_FILE, _FILE_BYTES_MAX))
    except (ironclaw_git.UnknownObject, BadRequest):
        return []


def _put(target: Path, content: bytes | None, mode: str) -> None:
    """Write a file of a commit of ours into a fresh checkout, or remove it."""
    if content is None:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    executable = int(mode, 8) & _EXECUTABLE
    with os.fdopen(os.open(target, flags, 0o755 if executable else 0o644), "wb") as file:
        file.write(content)
