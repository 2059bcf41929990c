"""Theaters: the mainline's history, what waits to be merged, worktrees, work kept from lost attempts."""

import asyncio

import msgspec

from ironclaw_api_gateway.console.absent import if_there
from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Fragment, Pages, Redirect, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import integration, ledger, observer, vault
from ironclaw_contracts.enums import OrderPhase, WorktreeState
from ironclaw_contracts.errors import BadRequest

_LOG_LINES = 60
_ORDERS = 500
_SHORT = 10
"""Characters of a commit's hash in a line of the log."""
_MERGING = (OrderPhase.READY, OrderPhase.INTEGRATING, OrderPhase.GATED, OrderPhase.HELD)


def add_theaters(pages: Pages, client: ServiceClient) -> None:
    """Register the list, the page of a theater, and what operators do there."""

    async def listed(_: Asked) -> Context:
        return {"theaters": (await client.call(vault.LIST_THEATERS)).theaters}

    async def one(asked: Asked) -> Context:
        theater_id = asked.path["theater_id"]
        theater, log, page, salvage = await asyncio.gather(
            client.call(vault.GET_THEATER, theater_id=theater_id),
            client.call(vault.READ_LOG, query=vault.LogQuery(limit=_LOG_LINES), theater_id=theater_id),
            client.call(ledger.LIST_ORDERS, query=ledger.OrdersQuery(theater_id=theater_id, limit=_ORDERS)),
            if_there(client.call(vault.LIST_SALVAGE, theater_id=theater_id)),
        )
        gates = await if_there(client.call(integration.SHOW_GATES, theater_id=theater_id))
        orders = page.orders
        return {
            "theater": theater,
            "gates": gates,
            "log": log,
            "by_commit": {o.merge_commit[:_SHORT]: o for o in orders if o.merge_commit is not None},
            "queue": [order for order in reversed(orders) if order.phase in _MERGING],
            "worktrees": [
                order
                for order in orders
                if order.worktree is not None and order.worktree.state is not WorktreeState.REMOVED
            ],
            "salvage": salvage.salvage if salvage is not None else None,
        }

    async def open_theater(_: Asked, form: Form) -> Redirect:
        kind = "import_path" if form.get("copy") else "repo_path"
        given = {"theater_id": form.get("theater_id", "").strip()}
        if path := form.get("path", "").strip():
            given[kind] = path
        try:
            request = msgspec.convert(given, vault.TheaterRequest)
        except msgspec.ValidationError as error:
            raise BadRequest(f"the theater cannot be made: {error}") from error
        theater = await client.call(vault.OPEN_THEATER, request)
        return Redirect(f"/console/theaters/{theater.theater_id}")

    async def prove(asked: Asked, _: Form) -> Fragment:
        proven = await client.call(integration.PROVE_GATES, theater_id=asked.path["theater_id"])
        return Fragment("theaters/_gates.html", {"gates": proven})

    async def patrol(asked: Asked, _: Form) -> Fragment:
        done = await client.call(observer.PATROL_THEATER, theater_id=asked.path["theater_id"])
        return Fragment("theaters/patrolled.html", {"done": done})

    pages.views += [
        View(path="/console/theaters", name="theaters", gather=listed, parts=("list",)),
        View(
            path="/console/theaters/{theater_id:str}",
            name="theaters",
            gather=one,
            template="theater.html",
            parts=("head", "mainline", "queue", "gates", "worktrees", "salvage"),
        ),
    ]
    pages.actions += [
        Action(path="/console/theaters", act=open_theater, operators=True),
        Action(path="/console/theaters/{theater_id:str}/prove", act=prove, operators=True),
        Action(path="/console/theaters/{theater_id:str}/patrol", act=patrol, operators=True),
    ]
