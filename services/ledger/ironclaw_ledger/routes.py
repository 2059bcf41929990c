"""HTTP in, HTTP out."""

from collections.abc import AsyncIterator

from ironclaw_chassis.routes import Call, Routes, StreamEvent
from ironclaw_chassis.sse import Frames
from ironclaw_chassis.tracing import current_traceparent
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.chain import Verification
from ironclaw_contracts.endpoint import Done, Nothing
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints import ledger_proof
from ironclaw_contracts.endpoints import ledger_spending as money
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.events import NewEvent
from ironclaw_contracts.snapshots import Lead, Lease, OrderView, RunView
from ironclaw_contracts.spending import Spent, Worst
from ironclaw_contracts.why import Why
from ironclaw_ledger import audit
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.reading import resume_after, split_types
from ironclaw_ledger.slices import run_slice


def build_routes(ledger: Ledger) -> Routes:
    """Return the ledger's routes."""
    routes = Routes(Service.LEDGER)

    @routes.serve(api.APPEND_EVENT)
    async def append_event(call: Call[NewEvent, Nothing]) -> api.Appended:
        return (await ledger.appender.append(call.service(), [call.body], current_traceparent()))[0]

    @routes.serve(api.APPEND_BATCH)
    async def append_batch(call: Call[api.Batch, api.BatchQuery]) -> api.BatchAppended:
        given = (call.service(), call.body.events, current_traceparent())
        if call.query.snapshots:
            return await ledger.appender.append_and_see(*given)
        return api.BatchAppended(await ledger.appender.append(*given))

    @routes.serve(api.LIST_EVENTS)
    async def list_events(call: Call[Nothing, api.EventsQuery]) -> api.EventPage:
        return await ledger.reader.events(call.query)

    @routes.stream(api.STREAM_EVENTS)
    async def stream_events(call: Call[Nothing, api.StreamQuery]) -> AsyncIterator[StreamEvent | Frames]:
        after = resume_after(call.last_event_id, call.query.after)
        return await ledger.stream.follow(after, split_types(call.query.types), call.query.run_id)

    @routes.serve(api.LIST_RUNS)
    async def list_runs(call: Call[Nothing, api.RunsQuery]) -> api.RunPage:
        return await ledger.reader.runs(call.query)

    @routes.serve(api.GET_RUN)
    async def get_run(call: Call[Nothing, api.RunQuery]) -> RunView:
        return await ledger.reader.run(call.path["run_id"], _as_of(call.query))

    @routes.serve(api.WHY_RUN)
    async def why_run(call: Call[Nothing, AsOfQuery]) -> Why:
        return await ledger.reader.why_run(call.path["run_id"], call.query.as_of)

    @routes.serve(ledger_proof.READ_SLICE)
    async def read_slice(call: Call[Nothing, Nothing]) -> ledger_proof.RunSlice:
        return await run_slice(ledger.store, ledger.signer, call.path["run_id"])

    @routes.serve(ledger_proof.LIST_MAINLINES)
    async def list_mainlines(call: Call[Nothing, ledger_proof.MainlinesQuery]) -> ledger_proof.Mainlines:
        return await ledger.reader.mainlines(call.query)

    @routes.serve(ledger_proof.FIND_POINT)
    async def find_point(call: Call[Nothing, ledger_proof.PointQuery]) -> ledger_proof.Point:
        return ledger_proof.Point(await ledger.reader.point(call.query.as_of))

    @routes.serve(api.LIST_ORDERS)
    async def list_orders(call: Call[Nothing, api.OrdersQuery]) -> api.OrderPage:
        return await ledger.reader.orders(call.query)

    @routes.serve(api.GET_ORDER)
    async def get_order(call: Call[Nothing, AsOfQuery]) -> OrderView:
        return await ledger.reader.order(call.path["order_id"], call.query.as_of)

    @routes.serve(api.WHY_ORDER)
    async def why_order(call: Call[Nothing, AsOfQuery]) -> Why:
        return await ledger.reader.why_order(call.path["order_id"], call.query.as_of)

    @routes.serve(api.RENEW_LEASE)
    async def renew_lease(call: Call[api.LeaseRenewal, Nothing]) -> Lease:
        return await ledger.reader.renew(call.path["order_id"], call.body)

    @routes.serve(api.TAKE_LEAD)
    async def take_lead(call: Call[api.LeadClaim, Nothing]) -> Lead:
        return await ledger.reader.take_lead(call.path["lead_id"], call.service(), call.body)

    @routes.serve(api.RELEASE_LEAD)
    async def release_lead(call: Call[Nothing, api.LeadQuery]) -> api.Released:
        return await ledger.reader.release_lead(call.path["lead_id"], call.service(), call.query.holder)

    @routes.serve(money.RESERVE)
    async def reserve(call: Call[Worst, Nothing]) -> money.Accounts:
        return money.Accounts(accounts=await ledger.spending.reserve(call.path["reservation_id"], call.body))

    @routes.serve(money.MARK_SENT)
    async def mark_sent(call: Call[Nothing, Nothing]) -> Done:
        await ledger.spending.mark_sent(call.path["reservation_id"])
        return Done()

    @routes.serve(money.SETTLE)
    async def settle(call: Call[Spent, Nothing]) -> Done:
        await ledger.spending.settle(call.path["reservation_id"], call.body)
        return Done()

    @routes.serve(money.RUN_SPENDING)
    async def run_spending(call: Call[Nothing, Nothing]) -> money.Accounts:
        return money.Accounts(accounts=await ledger.spending.of_run(call.path["run_id"]))

    @routes.serve(api.LIST_ESCALATIONS)
    async def list_escalations(call: Call[Nothing, api.EscalationsQuery]) -> api.EscalationPage:
        return await ledger.reader.escalations(call.query)

    @routes.serve(api.GET_CHAIN)
    async def get_chain(_: Call[Nothing, Nothing]) -> api.Chain:
        return await ledger.chain()

    @routes.serve(api.VERIFY_CHAIN)
    async def verify_chain(_: Call[Nothing, Nothing]) -> Verification:
        return await audit.verify(ledger.store, ledger.signer.public_key, ledger.stream.seq_max)

    @routes.lines(api.EXPORT)
    async def export(_: Call[Nothing, Nothing]) -> AsyncIterator[bytes]:
        return await audit.export(ledger.store, ledger.signer)

    @routes.serve(ledger_proof.REBUILD)
    async def rebuild(_: Call[Nothing, Nothing]) -> ledger_proof.Rebuilt:
        return await audit.rebuild(ledger.store)

    return routes


def _as_of(query: api.RunQuery) -> str | None:
    """Return the point that is asked for under either name. Raises `BadRequest` for two of them."""
    if query.at_seq is not None and query.as_of is not None:
        raise BadRequest("at_seq and as_of: give one of them")
    return query.as_of if query.at_seq is None else str(query.at_seq)
