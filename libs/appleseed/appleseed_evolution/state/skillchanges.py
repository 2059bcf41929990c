"""Changes to skill files: begun in the promotions ledger, applied, done; and undone from what was kept.

A crash in between is rolled forward by the next opening: the ledger says what was begun, and the contents
from before and after lie in `kept_skills`, named by their SHA-256.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from appleseed_evolution.contract import to_json
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.files import sha256, write_atomically
from ironclaw_contracts.errors import Conflict

Operation = Literal["promotion", "rollback"]


class SkillChange(Struct, frozen=True, kw_only=True):
    """One file that goes from one content to another; the digests are SHA-256."""

    proposal_id: str
    target_path: str
    before_sha256: str
    after_sha256: str


class _Entry(Struct, frozen=True, kw_only=True):
    """A line of the promotions ledger."""

    timestamp: str
    operation: Operation
    stage: Literal["begun", "done"]
    changes: tuple[SkillChange, ...]


def keep(state: StateDirectory, content: bytes) -> str:
    """Keep a skill file's content for ever, and return its SHA-256."""
    digest = sha256(content)
    path = kept_path(state, digest)
    if not path.exists():
        write_atomically(path, content)
    return digest


def kept_path(state: StateDirectory, digest: str) -> Path:
    """Return where a kept content lies."""
    return state.kept_skills / f"{digest}.json"


def kept(state: StateDirectory, digest: str) -> bytes:
    """Return a kept content. Raises `Conflict` when it is gone or no longer what it was."""
    path = kept_path(state, digest)
    content = path.read_bytes() if path.exists() else b""
    if sha256(content) != digest:
        raise Conflict(f"{path} is gone or was changed; the skill file cannot be restored from it")
    return content


def apply(
    state: StateDirectory, operation: Operation, changes: Sequence[SkillChange], *, now: datetime
) -> tuple[SkillChange, ...]:
    """Change the files, whose contents are all kept, for good, and return the changes that were made.

    A file that somebody edits at the same moment is left alone. For whoever holds the lock.
    """
    if not changes:
        return ()
    begun = _Entry(timestamp=now.isoformat(), operation=operation, stage="begun", changes=tuple(changes))
    state.promotions.append([to_json(begun)])
    return _finish(state, begun)


def finish_interrupted(state: StateDirectory) -> None:
    """Complete a change that a crash cut short. For whoever holds the lock."""
    entries = _entries(state)
    if not entries or entries[-1].stage == "done":
        return
    _finish(state, entries[-1])
    state.notice(f"a {entries[-1].operation} of skill files that was cut short was completed")


def applied_change(state: StateDirectory, proposal_id: str) -> SkillChange | None:
    """Return the newest promotion of a proposal that was not rolled back yet."""
    applied: list[SkillChange] = []
    for entry in _entries(state):
        if entry.stage == "begun":
            continue
        for change in entry.changes:
            if change.proposal_id != proposal_id:
                continue
            if entry.operation == "promotion":
                applied.append(change)
            elif applied:
                applied.pop()
    return applied[-1] if applied else None


def _finish(state: StateDirectory, begun: _Entry) -> tuple[SkillChange, ...]:
    applied: list[SkillChange] = []
    for change in begun.changes:
        path = Path(change.target_path)
        found = sha256(path.read_bytes()) if path.exists() else ""
        if found == change.before_sha256:
            write_atomically(path, kept(state, change.after_sha256))
        elif found != change.after_sha256:
            state.notice(f"{path} was edited meanwhile, so {change.proposal_id} was not applied to it")
            continue
        applied.append(change)
    done = msgspec.structs.replace(begun, stage="done", changes=tuple(applied))
    state.promotions.append([to_json(done)])
    return done.changes


def _entries(state: StateDirectory) -> list[_Entry]:
    found: list[_Entry] = []
    for value in state.objects(state.promotions):
        try:
            found.append(msgspec.convert(value, _Entry))
        except msgspec.ValidationError as error:
            state.notice(f"promotions.jsonl: a line was passed over: {error}")
    return found
