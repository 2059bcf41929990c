"""Chat, runs, orders and artifacts."""

from collections.abc import AsyncIterator

import msgspec

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.following import Following
from ironclaw_api_gateway.orders import Orders
from ironclaw_api_gateway.receipts import Receipts
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, FileAnswer, Routes, StreamEvent
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co, ledger, vault
from ironclaw_contracts.endpoints import ledger_spending as money
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.snapshots import OrderView, RunSnapshot, RunView
from ironclaw_contracts.why import Why


def add_work_routes(
    routes: Routes,
    client: ServiceClient,
    chat: Chat,
    following: Following,
    orders: Orders,
    receipts: Receipts,
) -> None:
    """Register what every key may call."""

    @routes.serve(api.CHAT)
    async def post_chat(call: Call[api.ChatRequest, Nothing]) -> api.ChatAnswer:
        return await chat.ask(call.body, call.caller)

    @routes.serve(api.LIST_RUNS)
    async def list_runs(call: Call[Nothing, ledger.RunsQuery]) -> ledger.RunPage:
        return await client.call(ledger.LIST_RUNS, query=call.query)

    @routes.serve(api.GET_RUN)
    async def get_run(call: Call[Nothing, ledger.RunQuery]) -> RunView:
        return await client.call(ledger.GET_RUN, query=call.query, run_id=call.path["run_id"])

    @routes.stream(api.FOLLOW_RUN)
    async def follow_run(call: Call[Nothing, api.FollowQuery]) -> AsyncIterator[StreamEvent]:
        return await following.run(call.path["run_id"], _cursor(call.last_event_id, call.query.after))

    @routes.serve(api.WHY_RUN)
    async def why_run(call: Call[Nothing, AsOfQuery]) -> Why:
        return await client.call(ledger.WHY_RUN, query=call.query, run_id=call.path["run_id"])

    @routes.file(api.GET_RECEIPT)
    async def get_receipt(call: Call[Nothing, Nothing]) -> FileAnswer:
        run_id = call.path["run_id"]
        return FileAnswer(content=await receipts.issue(run_id), name=f"{run_id}.receipt.jsonl")

    @routes.serve(api.RUN_SPENDING)
    async def run_spending(call: Call[Nothing, Nothing]) -> money.Accounts:
        return await client.call(money.RUN_SPENDING, run_id=call.path["run_id"])

    @routes.serve(api.CANCEL_RUN)
    async def cancel_run(call: Call[co.Cancellation, Nothing]) -> RunSnapshot:
        return await client.call(co.CANCEL_RUN, call.body, run_id=call.path["run_id"])

    @routes.serve(api.LIST_ORDERS)
    async def list_orders(call: Call[Nothing, ledger.OrdersQuery]) -> ledger.OrderPage:
        return await client.call(ledger.LIST_ORDERS, query=call.query)

    @routes.serve(api.GET_ORDER)
    async def get_order(call: Call[Nothing, AsOfQuery]) -> OrderView:
        return await client.call(ledger.GET_ORDER, query=call.query, order_id=call.path["order_id"])

    @routes.serve(api.WHY_ORDER)
    async def why_order(call: Call[Nothing, AsOfQuery]) -> Why:
        return await client.call(ledger.WHY_ORDER, query=call.query, order_id=call.path["order_id"])

    @routes.file(api.GET_ARTIFACT)
    async def get_artifact(call: Call[Nothing, api.ArtifactQuery]) -> FileAnswer:
        return await orders.artifact(call.path["order_id"], call.query.path, call.query.as_of)

    @routes.serve(api.GET_DIFF)
    async def get_diff(call: Call[Nothing, AsOfQuery]) -> vault.Diff:
        view = await client.call(ledger.GET_ORDER, query=call.query, order_id=call.path["order_id"])
        return await orders.diff(view.order)

    @routes.serve(api.LIST_THEATERS)
    async def list_theaters(call: Call[Nothing, AsOfQuery]) -> vault.Theaters:
        return await client.call(vault.LIST_THEATERS, query=call.query)

    @routes.serve(api.READ_LOG)
    async def read_log(call: Call[Nothing, vault.LogQuery]) -> vault.TheaterLog:
        return await client.call(vault.READ_LOG, query=call.query, theater_id=call.path["theater_id"])

    @routes.serve(api.GET_CHAIN)
    async def get_chain(_: Call[Nothing, Nothing]) -> ledger.Chain:
        return await client.call(ledger.GET_CHAIN)


def _cursor(last_event_id: str, after: int) -> int:
    """Return the seq in a `Last-Event-ID` header, else `after`. Raises `BadRequest` when it is no seq."""
    if not last_event_id:
        return after
    try:
        return msgspec.convert({"after": last_event_id}, api.FollowQuery, strict=False).after
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"Last-Event-ID {last_event_id[:40]!r} is no seq: send back the id of an event, or none"
        ) from error
