"""Events: the facts of the ledger (seed, section 1)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_contracts import payloads as p
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.ids import Id, Seq, Sha256


class EventType(StrEnum):
    """Every event type of the seed, spelled evenly; ORDER_ADOPTED for work that came late (ADR 6), and
    FEEDBACK_RECORDED for what people thought of a result (ADR 13)."""

    RUN_CREATED = "RUN_CREATED"
    RUN_UPDATED = "RUN_UPDATED"
    RUN_COMPLETED = "RUN_COMPLETED"
    RUN_FAILED = "RUN_FAILED"
    RUN_CANCELLED = "RUN_CANCELLED"
    ORDER_CREATED = "ORDER_CREATED"
    ORDER_ENQUEUED = "ORDER_ENQUEUED"
    ORDER_CLAIMED = "ORDER_CLAIMED"
    ORDER_STARTED = "ORDER_STARTED"
    ORDER_BLOCKED = "ORDER_BLOCKED"
    ORDER_COMPLETED = "ORDER_COMPLETED"
    ORDER_FAILED = "ORDER_FAILED"
    ORDER_REISSUED = "ORDER_REISSUED"
    ORDER_ADOPTED = "ORDER_ADOPTED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    WORKTREE_CREATED = "WORKTREE_CREATED"
    WORKTREE_READY = "WORKTREE_READY"
    WORKTREE_ARCHIVED = "WORKTREE_ARCHIVED"
    WORKTREE_REMOVED = "WORKTREE_REMOVED"
    ARTIFACT_WRITTEN = "ARTIFACT_WRITTEN"
    AAR_WRITTEN = "AAR_WRITTEN"
    INTEGRATION_READY = "INTEGRATION_READY"
    INTEGRATION_STARTED = "INTEGRATION_STARTED"
    INTEGRATION_PASSED = "INTEGRATION_PASSED"
    INTEGRATION_FAILED = "INTEGRATION_FAILED"
    INTEGRATED = "INTEGRATED"
    ESCALATION_RAISED = "ESCALATION_RAISED"
    ESCALATION_ACKED = "ESCALATION_ACKED"
    RECOVERY_REQUIRED = "RECOVERY_REQUIRED"
    RECOVERY_STARTED = "RECOVERY_STARTED"
    RECOVERY_COMPLETED = "RECOVERY_COMPLETED"
    PATROL_TICK = "PATROL_TICK"
    SERVICE_DEGRADED = "SERVICE_DEGRADED"
    SERVICE_RECOVERED = "SERVICE_RECOVERED"
    FEEDBACK_RECORDED = "FEEDBACK_RECORDED"
    POLICY_UPDATED = "POLICY_UPDATED"


PAYLOADS: dict[EventType, type[p.Payload]] = {
    EventType.RUN_CREATED: p.RunCreated,
    EventType.RUN_UPDATED: p.RunUpdated,
    EventType.RUN_COMPLETED: p.RunCompleted,
    EventType.RUN_FAILED: p.RunEnded,
    EventType.RUN_CANCELLED: p.RunEnded,
    EventType.ORDER_CREATED: p.OrderCreated,
    EventType.ORDER_ENQUEUED: p.OrderEnqueued,
    EventType.ORDER_CLAIMED: p.OrderClaimed,
    EventType.ORDER_STARTED: p.OrderStarted,
    EventType.ORDER_BLOCKED: p.OrderBlocked,
    EventType.ORDER_COMPLETED: p.OrderCompleted,
    EventType.ORDER_FAILED: p.OrderFailed,
    EventType.ORDER_REISSUED: p.OrderReissued,
    EventType.ORDER_ADOPTED: p.OrderAdopted,
    EventType.ORDER_CANCELLED: p.OrderCancelled,
    EventType.WORKTREE_CREATED: p.WorktreeCreated,
    EventType.WORKTREE_READY: p.WorktreeReady,
    EventType.WORKTREE_ARCHIVED: p.WorktreeArchived,
    EventType.WORKTREE_REMOVED: p.WorktreeRemoved,
    EventType.ARTIFACT_WRITTEN: p.ArtifactWritten,
    EventType.AAR_WRITTEN: p.AarWritten,
    EventType.INTEGRATION_READY: p.IntegrationReady,
    EventType.INTEGRATION_STARTED: p.IntegrationStarted,
    EventType.INTEGRATION_PASSED: p.IntegrationPassed,
    EventType.INTEGRATION_FAILED: p.IntegrationFailed,
    EventType.INTEGRATED: p.Integrated,
    EventType.ESCALATION_RAISED: p.EscalationRaised,
    EventType.ESCALATION_ACKED: p.EscalationAcked,
    EventType.RECOVERY_REQUIRED: p.RecoveryRequired,
    EventType.RECOVERY_STARTED: p.RecoveryStarted,
    EventType.RECOVERY_COMPLETED: p.RecoveryCompleted,
    EventType.PATROL_TICK: p.PatrolTick,
    EventType.SERVICE_DEGRADED: p.ServiceHealth,
    EventType.SERVICE_RECOVERED: p.ServiceHealth,
    EventType.FEEDBACK_RECORDED: p.FeedbackRecorded,
    EventType.POLICY_UPDATED: p.PolicyUpdated,
}


class NewEvent(Struct, frozen=True, kw_only=True):
    """An event as a service sends it; the ledger adds `seq`, `source`, and an absent `event_id` or `ts`."""

    type: EventType
    garrison_id: Id = "local"
    theater_id: Id | None = None
    run_id: Id | None = None
    order_id: Id | None = None
    unit_id: Id | None = None
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    event_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9_:.-]+\Z")] | None = None
    ts: Annotated[datetime, Meta(tz=True)] | None = None


class Event(Struct, frozen=True, kw_only=True):
    """An event as the ledger keeps it. `hash` = SHA-256(`prev_hash` ‖ canonical bytes of the rest)."""

    seq: Seq
    event_id: str
    ts: datetime
    type: EventType
    garrison_id: str
    theater_id: str | None
    run_id: str | None
    order_id: str | None
    unit_id: str | None
    source: str
    payload: dict[str, Any]
    prev_hash: Sha256
    hash: Sha256
    traceparent: str | None = None
    """W3C trace context of the call that appended it, if it was part of a trace."""


def new_event(
    type: EventType,
    payload: p.Payload,
    *,
    theater_id: str | None = None,
    run_id: str | None = None,
    order_id: str | None = None,
    unit_id: str | None = None,
    event_id: str | None = None,
    garrison_id: str = "local",
) -> NewEvent:
    """Build an event from a typed payload. Raises TypeError when the payload is not the type's own."""
    if not isinstance(payload, PAYLOADS[type]):
        raise TypeError(f"{type} carries {PAYLOADS[type].__name__}, not {payload.__class__.__name__}")
    return NewEvent(
        type=type,
        garrison_id=garrison_id,
        theater_id=theater_id,
        run_id=run_id,
        order_id=order_id,
        unit_id=unit_id,
        payload=msgspec.to_builtins(payload),
        event_id=event_id,
    )


def typed_payload(type: EventType, payload: dict[str, Any]) -> p.Payload:
    """Return the payload as its struct. Raises `BadRequest` naming the field that is wrong."""
    try:
        return msgspec.convert(payload, PAYLOADS[type])
    except msgspec.ValidationError as error:
        raise BadRequest(f"payload of {type}: {error}") from error
