"""A run's events, read once and then only what is new."""

from ironclaw_api_gateway.console.pages import Asked
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.events import Event

EVENTS_MAX = 5_000
_PAGE = 1_000
_MEMORY = "trail"


async def trail(client: ServiceClient, asked: Asked, run_id: str, at_seq: int | None = None) -> list[Event]:
    """Return the first events of a run up to a seq, oldest first; at most `EVENTS_MAX`."""
    events: list[Event] = asked.memory.setdefault(_MEMORY, [])
    while len(events) < EVENTS_MAX:
        after = events[-1].seq if events else 0
        query = ledger.EventsQuery(run_id=run_id, after=after, limit=_PAGE)
        page = await client.call(ledger.LIST_EVENTS, query=query)
        events += page.events
        if page.next_after is None:
            break
    return events if at_seq is None else [event for event in events if event.seq <= at_seq]
