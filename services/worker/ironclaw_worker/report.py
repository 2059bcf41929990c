"""What a unit leaves behind: outputs/, aar.json, state.json, and the events that say so. Pure."""

import hashlib
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from ironclaw_contracts.artifacts import AAR_FILE, Aar, Artifact, Order, WorktreeStateFile
from ironclaw_contracts.events import EventType, NewEvent, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.material import output_path
from ironclaw_contracts.payloads import AarWritten, ArtifactWritten, AttemptPayload, OrderCompleted
from ironclaw_contracts.transcript import ToolCall, effort_of
from ironclaw_worker.changes import ChangeSet
from ironclaw_worker.executor import TreeWork, Work


class Deliverable(Struct, frozen=True):
    """One file to write, relative to the worktree."""

    artifact: Artifact
    content: bytes


def deliverable(order: Order, work: Work) -> Deliverable:
    """Return the artifact that holds the work's text."""
    path = output_path(order)
    content = work.text.rstrip("\n").encode("utf-8", errors="replace") + b"\n"
    kind = "text/markdown" if path.endswith(".md") else "text/plain"
    artifact = Artifact(path=path, type=kind, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    return Deliverable(artifact=artifact, content=content)


def aar(order: Order, work: Work, artifacts: list[Artifact], now: datetime) -> Aar:
    """Return the after-action report of a completed order."""
    return Aar(
        order_id=order.order_id,
        status="completed",
        completed_at=now,
        summary=work.summary,
        artifacts=artifacts,
        model=work.model,
        notes=list(work.notes),
        effort=work.effort,
    )


def tree_aar(order: Order, work: TreeWork, changes: ChangeSet, calls: list[ToolCall], now: datetime) -> Aar:
    """Return the after-action report of an order that changed the tree.

    Deleted files, links, and all beyond a bound are not artifacts; the commit has them.
    """
    listed = list(changes.artifacts)
    notes = list(work.notes)
    if changes.deleted:
        notes.append(f"deleted: {', '.join(changes.deleted[:10])}"[:2000])
    if len(listed) + len(changes.deleted) < len(changes.paths):
        notes.append(f"{len(listed)} of {len(changes.paths)} changed files are listed; the commit has all")
    use = work.model
    return Aar(
        order_id=order.order_id,
        status="completed",
        completed_at=now,
        summary=f"{work.summary}: {changes}",
        artifacts=listed,
        model=use,
        notes=notes,
        claims=work.claims,
        effort=effort_of(
            calls,
            model_calls=work.model_calls,
            tokens_in=(use.tokens_in or 0) if use else 0,
            tokens_out=(use.tokens_out or 0) if use else 0,
            cost=work.cost_microusd,
        ),
    )


def encode_file(value: Aar | WorktreeStateFile) -> bytes:
    """Return a report file as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def state_file(
    order: Order, attempt: int, phase: Literal["prepared", "running", "reported"], now: datetime
) -> bytes:
    """Return state.json."""
    return encode_file(
        WorktreeStateFile(order_id=order.order_id, attempt=attempt, phase=phase, updated_at=now)
    )


def unit_event(
    kind: EventType,
    payload: AttemptPayload,
    order: Order | JobMessage,
    unit_id: str,
    *,
    ordinal: int = 0,
    garrison_id: str,
) -> NewEvent:
    """Return an event of a unit's attempt, with the id that a retry gives again."""
    return new_event(
        kind,
        payload,
        run_id=order.run_id,
        order_id=order.order_id,
        theater_id=order.theater_id,
        unit_id=unit_id,
        garrison_id=garrison_id,
        event_id=derived_event_id(order.order_id, payload.attempt, kind, ordinal),
    )


def completion_events(
    order: Order,
    report: Aar,
    aar_bytes: bytes,
    *,
    attempt: int,
    unit_id: str,
    commit_sha: str,
    garrison_id: str,
) -> list[NewEvent]:
    """Return the batch that reports a committed order (seed 3.5, action 6)."""
    written = [
        unit_event(
            EventType.ARTIFACT_WRITTEN,
            ArtifactWritten(attempt=attempt, artifact=artifact),
            order,
            unit_id,
            ordinal=ordinal,
            garrison_id=garrison_id,
        )
        for ordinal, artifact in enumerate(report.artifacts)
    ]
    reported = AarWritten(
        attempt=attempt,
        path=AAR_FILE,
        sha256=hashlib.sha256(aar_bytes).hexdigest(),
        status=report.status,
        summary=report.summary,
        model=report.model,
        next_recommendations=report.next_recommendations,
        effort=report.effort,
    )
    completed = OrderCompleted(attempt=attempt, commit_sha=commit_sha, summary=report.summary)
    return [
        *written,
        unit_event(EventType.AAR_WRITTEN, reported, order, unit_id, garrison_id=garrison_id),
        unit_event(EventType.ORDER_COMPLETED, completed, order, unit_id, garrison_id=garrison_id),
    ]
