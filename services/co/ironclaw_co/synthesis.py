"""The reply of a run, drawn from its orders' artifacts and reports."""

from ironclaw_contracts.artifacts import Artifact
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.snapshots import OrderSnapshot, RunView

_REPLY_LENGTH_MAX = 200_000
_OFFLINE = "offline"


def final_orders(view: RunView) -> list[OrderSnapshot]:
    """Return the orders whose work is the reply: the plan's extraction."""
    if view.run.plan is None:
        return []
    by_id = {order.order_id: order for order in view.orders}
    named = [by_id[o] for o in view.run.plan.extraction.order_ids if o in by_id]
    return [order for order in named if order.phase is OrderPhase.INTEGRATED]


def readable(order: OrderSnapshot) -> list[Artifact]:
    """Return the order's artifacts that a reply can quote."""
    return [artifact for artifact in order.artifacts if artifact.type.startswith("text/")]


def all_artifacts(view: RunView) -> list[Artifact]:
    """Return every merged artifact of the run, each path once."""
    found = {
        a.path: a for order in view.orders if order.phase is OrderPhase.INTEGRATED for a in order.artifacts
    }
    return list(found.values())


def _failed(order: OrderSnapshot) -> bool:
    return order.phase is OrderPhase.FAILED and bool(order.history)


def compose_reply(view: RunView, texts: dict[str, str]) -> str:
    """Return the reply: the texts of the final orders, or their summaries where there is no text.

    `texts` maps the path of each readable artifact to its content. Work done without a model says so.
    """
    parts: list[str] = []
    for order in final_orders(view):
        bodies = [texts[a.path].strip() for a in readable(order) if texts.get(a.path, "").strip()]
        if bodies:
            parts.extend(bodies)
        elif order.report is not None:
            parts.append(order.report.summary)
    reply = "\n\n".join(parts) or "The work is merged; it produced no text to quote."
    notes = list(view.run.plan.notes) if view.run.plan is not None else []
    notes += [
        f"Not done: {order.title} ({order.history[-1].reason})" for order in view.orders if _failed(order)
    ]
    if any(o.report and o.report.model and o.report.model.provider == _OFFLINE for o in view.orders):
        notes.append("Made without a model: extracts by the offline provider.")
    tail = "".join(f"\n\n_{note}_" for note in notes)
    return reply[: _REPLY_LENGTH_MAX - len(tail)] + tail
