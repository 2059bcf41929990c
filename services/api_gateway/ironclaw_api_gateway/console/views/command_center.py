"""Command center: the milestone feed, its proof nodes, dead letters, demand; what is stale says so."""

import asyncio
from typing import Any

import msgspec

from ironclaw_api_gateway.console.absent import if_there
from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Fragment, Pages, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.endpoints import co
from ironclaw_contracts.endpoints import openclawdbot as bot
from ironclaw_contracts.instants import parse_instant

_FEED = "50"
_OUTBOX = 50


def add_command_center(pages: Pages, client: ServiceClient) -> None:
    """Register the page and the redelivery of dead letters."""

    async def read(endpoint: Endpoint[Any, Any, Any], query: object = None) -> Any:
        return msgspec.json.decode(await client.read(endpoint, query))

    async def gather(_: Asked) -> Context:
        overview, feed, rejected, demand, rejected_demand, outbox = await asyncio.gather(
            read(bot.OVERVIEW),
            read(bot.LATEST_MILESTONES, bot.FeedQuery(limit=_FEED)),
            read(bot.MILESTONE_DEAD_LETTERS),
            read(bot.DEMAND),
            read(bot.DEMAND_DEAD_LETTERS),
            if_there(client.call(co.LIST_OUTBOX, query=co.OutboxQuery(limit=_OUTBOX))),
        )
        return {
            "overview": overview,
            "feed": feed["items"],
            "rejected": [*rejected["items"], *rejected_demand["items"]],
            "demand": demand,
            "outbox": outbox.records if outbox is not None else None,
            "instant": parse_instant,
        }

    async def redeliver(_: Asked, form: Form) -> Fragment:
        key = form.get("idempotency_key", "").strip() or None
        page = await client.call(co.REDELIVER, co.Redelivery(idempotency_key=key))
        return Fragment("command_center/redelivered.html", {"records": page.records})

    pages.views.append(
        View(
            path="/console/command-center",
            name="command_center",
            gather=gather,
            parts=("overview", "nodes", "feed", "demand", "outbox", "rejected"),
            operators=True,
        )
    )
    pages.actions.append(Action(path="/console/command-center/redeliver", act=redeliver, operators=True))
