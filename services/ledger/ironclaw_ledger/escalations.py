"""Escalations: derived from the events that raise and acknowledge them. Pure."""

from msgspec.structs import replace

from ironclaw_contracts import payloads as p
from ironclaw_contracts.errors import Conflict, NotFound
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import Escalation


def raised(event: Event, payload: p.EscalationRaised) -> Escalation:
    """Return the escalation that an event raises; the event's id names it."""
    return Escalation(
        escalation_id=event.event_id,
        severity=payload.severity,
        state="open",
        route=payload.route,
        subject=payload.subject,
        reason=payload.reason,
        evidence=payload.evidence,
        source=event.source,
        theater_id=event.theater_id,
        run_id=event.run_id,
        order_id=event.order_id,
        raised_at=event.ts,
        seq=event.seq,
    )


def check_ack(escalation: Escalation | None, payload: p.EscalationAcked) -> Escalation:
    """Return the escalation to acknowledge. Raises `NotFound`, or `Conflict` when somebody has already."""
    if escalation is None:
        raise NotFound(f"there is no escalation {payload.escalation_id!r}")
    if escalation.state == "acked":
        raise Conflict(f"escalation {escalation.escalation_id} was acknowledged by {escalation.acked_by}")
    return escalation


def acked(escalation: Escalation, event: Event, payload: p.EscalationAcked) -> Escalation:
    """Return the escalation after it was acknowledged."""
    return replace(escalation, state="acked", acked_at=event.ts, acked_by=payload.acked_by, note=payload.note)
