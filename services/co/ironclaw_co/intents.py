"""The intent of a run's plan: what is announced of it, and what its ACK allows. Pure."""

import hashlib
import uuid
from datetime import datetime
from typing import Any

import msgspec

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.endpoints.duty_officer_relay import RelayedIntent
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.payloads import IntentLink
from ironclaw_contracts.snapshots import RunSnapshot

ACTION = "run.plan"
_OBJECTIVE_CHARS_MAX = 2_000  # of at most four bytes: an intent's strings have at most 8 KiB
_ORDERS_SHOWN_MAX = 100
_TITLE_CHARS_MAX = 60


def intent_id_of(run_id: str) -> str:
    """Return the id of a run's intent: the same for every version of its plan."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ironclaw:run:{run_id}"))


def compose_intent(
    run: RunSnapshot, node_id: str, before: RelayedIntent | None, now: datetime
) -> dict[str, Any]:
    """Return the intent of a run's present plan; `before` is the version that it follows.

    The plan's hash binds all of it, however much of its orders is shown. Raises ValueError without a plan.
    """
    if run.plan is None:
        raise ValueError(f"run {run.run_id} has no plan")
    plan = msgspec.to_builtins(run.plan)
    intent: dict[str, Any] = {
        "intent_id": intent_id_of(run.run_id),
        "intent_version": before.version + 1 if before is not None else 1,
        "node_id": node_id,
        "campaign_ref": run.run_id,
        "action": ACTION,
        "objective": run.objective[:_OBJECTIVE_CHARS_MAX],
        "created_at": format_instant(now),
        "parameters": {
            "plan_version": run.plan.version,
            "plan_hash": hashlib.sha256(jcs(plan)).hexdigest(),
            "playbook": run.plan.playbook,
            "planner": run.plan.planner,
            "orders_total": len(run.plan.tasks),
            "orders": [
                {"order_id": task.order_id, "type": task.type, "title": task.title[:_TITLE_CHARS_MAX]}
                for task in run.plan.tasks[:_ORDERS_SHOWN_MAX]
            ],
            "budget": msgspec.to_builtins(run.budget),
        },
    }
    if before is not None:
        intent["previous_intent_hash"] = before.intent_hash
    return intent


def link_to(held: RelayedIntent) -> IntentLink:
    """Return what the run's snapshot says of an intent that the relay holds."""
    ack = held.receipt.ack if held.receipt is not None else None
    return IntentLink(
        intent_id=held.intent_id,
        intent_version=held.version,
        intent_hash=held.intent_hash,
        plan_version=held.plan_version or 0,
        ack_id=ack.ack_id if ack is not None else None,
        ack_status=ack.status if ack is not None else None,
        ack_notes=ack.validation_notes if ack is not None else [],
    )


def is_announced(run: RunSnapshot) -> bool:
    """Tell whether nothing is left to announce: no plan, or the present plan's intent has its final ACK."""
    if run.plan is None:
        return True
    return has_current(run) and run.intent is not None and run.intent.ack_status in {"accepted", "rejected"}


def is_first(run: RunSnapshot) -> bool:
    """Tell whether the run's plan is its first, and no intent of it is linked.

    No version can come before that intent; where the relay holds it already, it keeps the one it holds.
    """
    return run.plan is not None and run.plan.version == 1 and run.intent is None


def has_current(run: RunSnapshot) -> bool:
    """Tell whether the run links an intent of its present plan."""
    return run.plan is not None and run.intent is not None and run.intent.plan_version == run.plan.version


def refusal(run: RunSnapshot) -> str | None:
    """Return why the validator refused the present plan; None when it did not."""
    if not has_current(run) or run.intent is None or run.intent.ack_status != "rejected":
        return None
    notes = "; ".join(run.intent.ack_notes) or "no reason given"
    return f"the OpenClaw validator rejected the intent of plan {run.intent.plan_version}: {notes}"


def may_dispatch(run: RunSnapshot) -> bool:
    """Tell whether the validator has accepted the present plan."""
    return has_current(run) and run.intent is not None and run.intent.ack_status == "accepted"
