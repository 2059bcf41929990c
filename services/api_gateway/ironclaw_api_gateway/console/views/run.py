"""One run: graph, waterfall, timeline, plan, cost, and how it stood at any event."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ironclaw_api_gateway.console.markup import markdown
from ironclaw_api_gateway.console.pages import Asked, Context, Pages, View
from ironclaw_api_gateway.console.trail import EVENTS_MAX, trail
from ironclaw_api_gateway.console.views.chat import graph_of
from ironclaw_api_gateway.console.waterfall import waterfall
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger, ledger_spending
from ironclaw_contracts.endpoints import openclawdbot_proof as proof
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.snapshots import OrderSnapshot

_TIMELINE = 300


def add_run(pages: Pages, client: ServiceClient) -> None:
    """Register the page of a run."""

    async def gather(asked: Asked) -> Context:
        run_id, at_seq = asked.path["run_id"], asked.number("at_seq")
        now = await client.call(ledger.GET_RUN, run_id=run_id)
        shown = now
        if at_seq is not None:
            at_seq = min(max(at_seq, now.run.first_seq), now.run.last_seq)
            shown = await client.call(ledger.GET_RUN, query=ledger.RunQuery(at_seq=at_seq), run_id=run_id)
        events = await trail(client, asked, run_id, at_seq)
        open_run = shown.run.status is RunStatus.OPEN
        live = at_seq is None and open_run
        spending = await client.call(ledger_spending.RUN_SPENDING, run_id=run_id)
        return {
            "spending": spending.accounts,
            "run": shown.run,
            "now": now.run,
            "orders": shown.orders,
            "by_id": {order.order_id: order for order in shown.orders},
            "graph": graph_of(shown.orders),
            "waterfall": waterfall(events, datetime.now(UTC) if live else None),
            "events": events[: -_TIMELINE - 1 : -1],
            "events_total": len(events),
            "events_cut": len(events) >= EVENTS_MAX,
            "why": await client.call(ledger.WHY_RUN, run_id=run_id) if live else None,
            "reply": markdown(shown.run.reply) if shown.run.reply else None,
            "cost": cost_of(shown.orders),
            "at_seq": at_seq,
            "run_id": run_id,
            "live": live,
            "back": "run",
        }

    async def intent(asked: Asked) -> Context:
        found = await client.call(proof.GET_INTENT, intent_id=asked.path["intent_id"])
        return {"intent": found}

    pages.views.append(
        View(
            path="/console/intents/{intent_id:str}",
            name="run",
            gather=intent,
            template="intent.html",
            operators=True,
        )
    )
    pages.views.append(
        View(
            path="/console/runs/{run_id:str}",
            name="run",
            gather=gather,
            parts=("head", "graph", "waterfall", "orders", "plan", "intent", "timeline"),
        )
    )


def cost_of(orders: Sequence[OrderSnapshot]) -> dict[str, int]:
    """Return what a run has used so far: attempts begun, and tokens as far as units reported them."""
    uses = [
        order.report.model for order in orders if order.report is not None and order.report.model is not None
    ]
    return {
        "attempts": sum(order.attempt for order in orders if order.unit_id is not None or order.history),
        "tokens_in": sum(use.tokens_in or 0 for use in uses),
        "tokens_out": sum(use.tokens_out or 0 for use in uses),
    }
