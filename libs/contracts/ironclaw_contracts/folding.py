"""A run after one of its events: the ledger keeps it so, and who follows the stream knows it sooner."""

from typing import Any

from msgspec.structs import replace

from ironclaw_contracts import payloads as p
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import RunSnapshot
from ironclaw_contracts.transitions import RUN_TRANSITIONS


def fold_run(run: RunSnapshot, event: Event, payload: p.Payload) -> RunSnapshot:
    """Return the run after one of its own events. Pure and total: assumes that the guards let it pass."""
    changes: dict[str, Any] = {"updated_at": event.ts, "last_seq": event.seq}
    status = RUN_TRANSITIONS[event.type]
    if status is not None:
        changes |= {"status": status, "status_event_id": event.event_id}
    match payload:
        case p.RunUpdated():
            changes |= {"plan": payload.plan or run.plan, "intent": payload.intent or run.intent}
            changes |= {"cancel_requested": payload.cancel_requested or run.cancel_requested}
            if payload.policy_version is not None:
                changes |= {"policy_version": payload.policy_version}
        case p.RunCompleted():
            changes |= {"reply": payload.reply, "artifacts": payload.artifacts}
        case p.RunEnded():
            changes |= {"reason": payload.reason}
        case _:
            pass
    return replace(run, **changes)
