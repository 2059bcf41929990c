"""Watch: services, nodes, the queue, the watchdogs' record, and what a person should know."""

import asyncio
from collections import Counter

import msgspec

from ironclaw_api_gateway.console.absent import if_there
from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Fragment, Pages, View
from ironclaw_api_gateway.fleet import fleet_status
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import co, duty_officer, ledger, sentinel
from ironclaw_contracts.endpoints import openclawdbot_proof as proof
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.transitions import OPEN_PHASES

_TICKS = 200
_ORDERS = 1_000
_ESCALATIONS = 100
_NEWEST = 2**63 - 1
_WATCHED = ",".join((E.RECOVERY_STARTED, E.RECOVERY_COMPLETED, E.SERVICE_DEGRADED, E.SERVICE_RECOVERED))


def add_watch(pages: Pages, client: ServiceClient) -> None:
    """Register the page and what operators do from it."""

    async def gather(asked: Asked) -> Context:
        ticks = ledger.EventsQuery(type=E.PATROL_TICK, before=_NEWEST, limit=_TICKS)
        acts = ledger.EventsQuery(types=_WATCHED, before=_NEWEST, limit=30)
        orders = ledger.OrdersQuery(phases=",".join(sorted(OPEN_PHASES)), limit=_ORDERS)
        state = "acked" if asked.query.get("state") == "acked" else "open"
        escalations = ledger.EscalationsQuery(state=state, limit=_ESCALATIONS)
        (services, nodes, reviews, grades), (ticked, acted, opened, escalated) = await asyncio.gather(
            asyncio.gather(
                fleet_status(client),
                if_there(client.call(proof.LIST_NODES)),
                if_there(client.call(proof.LIST_REVIEWS)),
                if_there(client.call(duty_officer.GET_GRADES, query=duty_officer.GradesQuery())),
            ),
            asyncio.gather(
                if_there(client.call(ledger.LIST_EVENTS, query=ticks)),
                if_there(client.call(ledger.LIST_EVENTS, query=acts)),
                if_there(client.call(ledger.LIST_ORDERS, query=orders)),
                if_there(client.call(ledger.LIST_ESCALATIONS, query=escalations)),
            ),
        )
        return {
            "services": services.services,
            "nodes": nodes.nodes if nodes is not None else None,
            "reviews": reviews.messages if reviews is not None else None,
            "ticks": ticked.events if ticked is not None else None,
            "backlog": backlog(ticked.events) if ticked is not None else None,
            "acts": acted.events if acted is not None else None,
            "depths": Counter(order.phase for order in opened.orders) if opened is not None else None,
            "escalations": escalated.escalations if escalated is not None else None,
            "state": state,
            "grades": grades.grades if grades is not None else None,
        }

    async def patrol(_: Asked, __: Form) -> Fragment:
        return Fragment("watch/patrolled.html", {"done": await client.call(duty_officer.PATROL)})

    async def audit(_: Asked, __: Form) -> Fragment:
        return Fragment("watch/audited.html", {"done": await client.call(sentinel.AUDIT)})

    async def acknowledge(asked: Asked, form: Form) -> Fragment:
        note = form.get("note", "").strip()
        if len(note) > 2_000:
            raise BadRequest("note: at most 2000 characters")
        ack = co.Acknowledgement(acked_by=asked.visitor.key.name, note=note)
        done = await client.call(co.ACK_ESCALATION, ack, escalation_id=asked.path["escalation_id"])
        return Fragment("watch/acknowledged.html", {"done": done})

    async def decide(asked: Asked, form: Form) -> Fragment:
        given = {"decision": form.get("decision", ""), "by": asked.visitor.key.name}
        try:
            wanted = msgspec.convert(given, proof.ReviewDecision)
        except msgspec.ValidationError as error:
            raise BadRequest(f"the decision cannot be taken: {error}") from error
        receipt = await client.call(proof.DECIDE_REVIEW, wanted, ack_id=asked.path["ack_id"])
        return Fragment("watch/decided.html", {"receipt": receipt, "decision": wanted.decision})

    pages.views.append(
        View(
            path="/console/watch",
            name="watch",
            gather=gather,
            parts=("escalations", "services", "queue", "backlog", "nodes", "reviews", "patrols", "grades"),
            operators=True,
        )
    )
    pages.actions += [
        Action(path="/console/watch/patrol", act=patrol, operators=True),
        Action(path="/console/watch/audit", act=audit, operators=True),
        Action(path="/console/escalations/{escalation_id:str}/ack", act=acknowledge, operators=True),
        Action(path="/console/reviews/{ack_id:str}", act=decide, operators=True),
    ]


def backlog(ticks: list[Event]) -> list[tuple[float, float]]:
    """Return (Unix time in seconds, open orders) of each tick, oldest first."""
    return [
        (round(tick.ts.timestamp(), 3), float(tick.payload.get("figures", {}).get("backlog", 0)))
        for tick in reversed(ticks)
    ]
