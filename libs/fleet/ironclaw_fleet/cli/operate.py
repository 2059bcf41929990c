"""What an operator does: events, a merge by hand."""

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.integration import IntegrationRequest
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.events import EventType
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway


async def events(
    *,
    after: int = 0,
    limit: int = 100,
    type: EventType | None = None,
    run: Identifier | None = None,
    order: Identifier | None = None,
    options: Options = PLAIN,
) -> None:
    """List events of the ledger after a seq, oldest first."""
    query = EventsQuery(after=after, limit=limit, type=type, run_id=run, order_id=order)
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

    Parameters
    ----------
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
