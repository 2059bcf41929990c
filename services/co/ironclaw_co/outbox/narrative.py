"""Which events of the ledger are milestones, and how they are told. Pure."""

from typing import Any

from msgspec import UNSET

from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.milestones import Evidence, Milestone

TOLD = (
    E.RUN_COMPLETED,
    E.RUN_FAILED,
    E.ORDER_BLOCKED,
    E.INTEGRATED,
    E.RECOVERY_STARTED,
    E.RECOVERY_COMPLETED,
    E.ESCALATION_RAISED,
)
"""The events that are milestones (contract: the fleet as an emitter)."""

_CLAIM_LENGTH_MAX = 500


def idempotency_key(event: Event) -> str:
    """Return the key of an event's milestone: the same whenever it is told again."""
    return f"ironclaw.{event.garrison_id}.{event.event_id}"


def milestone_of(event: Event) -> Milestone:
    """Return an event of `TOLD` as a milestone; its evidence points at the ledger and the commits."""
    claim, risk, following = _told(event)
    subject = event.order_id or event.run_id or event.event_id
    return Milestone(
        milestone_id=f"{event.type.lower()}.{subject}.{event.seq}",
        timestamp_utc=format_instant(event.ts),
        scope=event.theater_id or "fleet",
        claim=claim[:_CLAIM_LENGTH_MAX],
        evidence=_evidence(event),
        risk_status=risk,
        next_action=following,
        source="orchestrator",
    )


def _told(event: Event) -> tuple[str, str, str]:
    p = event.payload
    reason = str(p.get("reason") or p.get("outcome") or "no reason given")
    match event.type:
        case E.RUN_COMPLETED:
            return f"Run {event.run_id} is complete and merged.", "completed", "Read the reply."
        case E.RUN_FAILED:
            return f"Run {event.run_id} failed: {reason}", "blocked", f"See: ironclaw run {event.run_id}"
        case E.ORDER_BLOCKED:
            return f"Order {event.order_id} is blocked: {reason}", "blocked", "co re-plans within the budget."
        case E.INTEGRATED:
            commit = str(p.get("commit_sha", ""))[:12]
            return f"Order {event.order_id} is merged at {commit}.", "on-track", "Dependents start on it."
        case E.RECOVERY_STARTED:
            return f"Recovery of order {event.order_id} began: {reason}", "at-risk", "The patrol recovers it."
        case E.RECOVERY_COMPLETED:
            return f"Recovery of order {event.order_id} ended: {reason}", "on-track", "The order goes on."
        case _:
            severity = p.get("severity", "")
            return f"Escalation ({severity}): {reason}", "at-risk", "See: ironclaw escalations list"


def _evidence(event: Event) -> list[Evidence]:
    entry = Evidence(type="log", path=f"ledger/events/{event.seq}", summary=f"{event.type} by {event.source}")
    commit = event.payload.get("commit_sha")
    commits = [Evidence("commit", str(commit), "the merge commit", ref=str(commit))] if commit else []
    return [entry, *commits, *(_artifact(a) for a in event.payload.get("artifacts") or [])]


def _artifact(artifact: dict[str, Any]) -> Evidence:
    digest = artifact.get("sha256")
    ref = f"sha256:{digest}" if digest else UNSET
    return Evidence("doc", str(artifact.get("path")), "an artifact", ref=ref)
