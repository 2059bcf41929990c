"""The reply of a run, drawn from its orders' artifacts and reports."""

from ironclaw_co.progress import lost_orders
from ironclaw_contracts.artifacts import Artifact
from ironclaw_contracts.commands import AGENT, COMMAND
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.snapshots import OrderSnapshot, RunView

_REPLY_LENGTH_MAX = 200_000
_OFFLINE = "offline"
_CHANGING = frozenset({AGENT, COMMAND})


def final_orders(view: RunView) -> list[OrderSnapshot]:
    """Return the orders whose work is the reply: the plan's extraction."""
    if view.run.plan is None:
        return []
    by_id = {order.order_id: order for order in view.orders}
    named = [by_id[o] for o in view.run.plan.extraction.order_ids if o in by_id]
    return [order for order in named if order.phase is OrderPhase.INTEGRATED]


def readable(order: OrderSnapshot) -> list[Artifact]:
    """Return the order's artifacts that a reply can quote; none of an order that changed files in place."""
    if order.order.type in _CHANGING:
        return []
    return [artifact for artifact in order.artifacts if artifact.type.startswith("text/")]


def all_artifacts(view: RunView) -> list[Artifact]:
    """Return every merged artifact of the run, each path once."""
    found = {
        a.path: a for order in view.orders if order.phase is OrderPhase.INTEGRATED for a in order.artifacts
    }
    return list(found.values())


def _changes(view: RunView) -> list[str]:
    """Return what each order changed, headed by how many are merged; nothing without such orders."""
    if view.run.plan is None or not any(order.order.type in _CHANGING for order in view.orders):
        return []
    merged = [o for o in final_orders(view) if o.order.type in _CHANGING and o.report is not None]
    head = f"{len(merged)} of {len(view.run.plan.extraction.order_ids)} parts are merged."
    lines = [f"- {o.title}: {o.report.summary.splitlines()[0]}" for o in merged if o.report is not None]
    return [head, "\n".join(lines)] if lines else [head]


def compose_reply(view: RunView, texts: dict[str, str]) -> str:
    """Return the reply: the texts of the final orders, or their summaries where there is no text.

    `texts` maps the path of each readable artifact to its content. Work done without a model says so.
    """
    parts = _changes(view)
    for order in final_orders(view):
        if order.order.type in _CHANGING:
            continue
        bodies = [texts[a.path].strip() for a in readable(order) if texts.get(a.path, "").strip()]
        if bodies:
            parts.extend(bodies)
        elif order.report is not None:
            parts.append(order.report.summary)
    reply = "\n\n".join(parts) or "The work is merged; it produced no text to quote."
    notes = list(view.run.plan.notes) if view.run.plan is not None else []
    notes += [
        f"Not done: {order.title} ({order.history[-1].reason})"
        for order in lost_orders(view)
        if order.history
    ]
    if any(o.report and o.report.model and o.report.model.provider == _OFFLINE for o in view.orders):
        notes.append("Made without a model: extracts by the offline provider.")
    tail = "".join(f"\n\n_{note}_" for note in notes)
    return reply[: _REPLY_LENGTH_MAX - len(tail)] + tail
