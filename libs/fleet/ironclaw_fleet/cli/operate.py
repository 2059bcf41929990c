"""What an operator does: events, a merge by hand."""

from typing import Annotated

from cyclopts import Parameter

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.integration import IntegrationRequest
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.events import EventType
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

_PAST_THE_HEAD = 2**63 - 1


async def events(
    *,
    after: int = 0,
    before: int | None = None,
    newest: Annotated[bool, Parameter(negative="")] = False,
    limit: int = 100,
    type: EventType | None = None,
    run: Identifier | None = None,
    order: Identifier | None = None,
    theater: Identifier | None = None,
    options: Options = PLAIN,
) -> None:
    """List events of the ledger: oldest first after a seq, or newest first.

    Args:
        after: Only those after this seq.
        before: Only those before this seq, newest first.
        newest: From the head of the chain, newest first.
        limit: How many at most.
        type: Only these.
        run: Only this run's.
        order: Only this order's.
        theater: Only this theater's.
    """
    query = EventsQuery(
        after=after,
        before=_PAST_THE_HEAD if newest and before is None else before,
        limit=limit,
        type=type,
        run_id=run,
        order_id=order,
        theater_id=theater,
    )
    async with gateway() as client:
        page = await client.call(api.LIST_EVENTS, query=query)
    if options.json:
        print_json(page)
        return
    print_table(
        ("seq", "time", "type", "source", "order"),
        [(e.seq, f"{e.ts:%H:%M:%S.%f}"[:-3], e.type, e.source, e.order_id or "") for e in page.events],
    )


async def integrate(
    order_id: Identifier, *, theater: Identifier | None = None, options: Options = PLAIN
) -> None:
    """Gate one order and promote it now.

    Args:
        order_id: The order.
        theater: The theater it must belong to; the order's own otherwise.
    """
    async with gateway() as client:
        if theater is None:
            theater = (await client.call(api.GET_ORDER, order_id=order_id)).order.theater_id
        answer = await client.call(api.INTEGRATE, IntegrationRequest(theater_id=theater, order_id=order_id))
    if options.json:
        print_json(answer)
        return
    say(f"{answer.order_id}: {answer.phase} {answer.merge_commit or answer.reason or ''}")
    for gate in answer.gates:
        say(f"  {gate.gate}: {gate.verdict} {gate.detail}")
