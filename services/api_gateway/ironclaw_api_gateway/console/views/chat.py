"""Chat: ask, watch the plan take shape and run, read the reply."""

import msgspec

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.console.graph import laid_out
from ironclaw_api_gateway.console.markup import markdown
from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Pages, Redirect, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import co, ledger, vault
from ironclaw_contracts.endpoints.api_gateway import ChatRequest
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import OrderSnapshot

PLAYBOOKS = (
    ("summarize", "every document, and an overview"),
    ("draft", "one text"),
    ("call_summary", "a call's transcript"),
    ("codemod", "a command on every part of the code"),
    ("agent", "a model with tools"),
)
_TRIES = (
    ("Draft a note about spring floods", "one order, merged in seconds"),
    ("Summarize every document under docs/", "an order for each document of the theater, then an overview"),
)
_LOOKED_AT = 100
_RECENT = 12


def add_chat(pages: Pages, client: ServiceClient, chat: Chat) -> None:
    """Register the front page, a conversation, and what is sent from them."""

    async def front(asked: Asked) -> Context:
        runs = (await client.call(ledger.LIST_RUNS, query=ledger.RunsQuery(limit=_LOOKED_AT))).runs
        theaters = (await client.call(vault.LIST_THEATERS)).theaters
        own = [run for run in runs if run.user_id == asked.visitor.key.name][:_RECENT]
        names = [theater.theater_id for theater in theaters]
        return {
            "recent": own,
            "theaters": names,
            "playbooks": PLAYBOOKS,
            "new_run_id": new_id(),
            "tries": _TRIES,
        }

    async def conversation(asked: Asked) -> Context:
        run_id = asked.path["run_id"]
        view = await client.call(ledger.GET_RUN, run_id=run_id)
        open_run = view.run.status is RunStatus.OPEN
        return {
            "run": view.run,
            "orders": view.orders,
            "by_id": {order.order_id: order for order in view.orders},
            "graph": graph_of(view.orders),
            "why": await client.call(ledger.WHY_RUN, run_id=run_id) if open_run else None,
            "reply": markdown(view.run.reply) if view.run.reply else None,
            "artifacts": [(o, a) for o in view.orders for a in o.artifacts if a in view.run.artifacts],
            "run_id": run_id,
            "live": open_run,
            "back": "chat",
        }

    async def ask(asked: Asked, form: Form) -> Redirect:
        answer = await chat.ask(_request(form), asked.visitor.caller)
        return Redirect(f"/console/chat/{answer.run_id}")

    async def cancel(asked: Asked, form: Form) -> Redirect:
        run_id = asked.path["run_id"]
        reason = f"cancelled by {asked.visitor.key.name}"
        await client.call(co.CANCEL_RUN, co.Cancellation(reason=reason), run_id=run_id)
        return Redirect(f"/console/{'chat' if form.get('back') == 'chat' else 'runs'}/{run_id}")

    pages.views += [
        View(path="/", name="chat", gather=front, template="front.html", parts=("recent",)),
        View(
            path="/console/chat/{run_id:str}",
            name="chat",
            gather=conversation,
            parts=("progress", "graph", "reply"),
        ),
    ]
    pages.actions += [
        Action(path="/console/chat", act=ask),
        Action(path="/console/runs/{run_id:str}/cancel", act=cancel),
    ]


def graph_of(orders: list[OrderSnapshot]) -> object:
    """Return the graph of a run's orders."""
    return laid_out({order.order_id: order.depends_on for order in orders})


def _request(form: Form) -> ChatRequest:
    """Return what the form asks for. Raises `BadRequest` naming the field that is wrong."""
    names = {"message": "message", "theater": "theater_hint", "playbook": "playbook", "run_id": "run_id"}
    names["on_order_failure"] = "on_order_failure"
    given = {field: form[name].strip() for name, field in names.items() if form.get(name, "").strip()}
    if "message" not in given:
        raise BadRequest("message: say what you want")
    try:
        return msgspec.convert({**given, "mode": "async"}, ChatRequest)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the question cannot be sent: {error}") from error
