"""The ledger as the other services see it: append, read, and follow without ever missing for long.

Following is a hint (DESIGN, "level-triggered, edge-hinted"): a reconciler that loses it still has its timer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.events import Event, EventType, NewEvent
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import Lease, OrderSnapshot, OrderView, RunView

log = structlog.get_logger()

_RECONNECT_SECONDS = (0.05, 2.0)


class LedgerClient:
    """Typed access to the ledger under the service's own identity."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def append(self, event: NewEvent) -> api.Appended:
        """Append one event. Raises the ledger's `Problem`; repeating a derived event id is harmless."""
        return await self._client.call(api.APPEND_EVENT, _named(event))

    async def append_all(self, events: Iterable[NewEvent]) -> list[api.Appended]:
        """Append events, all or none."""
        return (
            await self._client.call(api.APPEND_BATCH, api.Batch(events=[_named(e) for e in events]))
        ).events

    async def append_and_see(self, events: Iterable[NewEvent]) -> api.BatchAppended:
        """Append events, all or none, and return the runs and orders that they name, as they are then."""
        batch = api.Batch(events=[_named(e) for e in events])
        return await self._client.call(api.APPEND_BATCH, batch, api.BatchQuery(snapshots=True))

    async def run(self, run_id: str) -> RunView:
        """Return a run with its orders. Raises `NotFound`."""
        return await self._client.call(api.GET_RUN, run_id=run_id)

    async def order(self, order_id: str) -> OrderView:
        """Return an order with its lease. Raises `NotFound`."""
        return await self._client.call(api.GET_ORDER, order_id=order_id)

    async def head(self) -> int:
        """Return the seq of the newest event."""
        return (await self._client.call(api.GET_CHAIN)).head_seq

    async def renew(self, order_id: str, renewal: api.LeaseRenewal) -> Lease:
        """Renew a lease. Raises `LeaseLost` when it is no longer the unit's."""
        return await self._client.call(api.RENEW_LEASE, renewal, order_id=order_id)

    async def events(
        self,
        types: Iterable[EventType] | None = None,
        *,
        order_id: str | None = None,
        run_id: str | None = None,
        after: int = 0,
    ) -> AsyncIterator[Event]:
        """Iterate over the events there are now, oldest first: of these types, of this order or run."""
        wanted = ",".join(types) if types is not None else None
        cursor: int | None = after
        while cursor is not None:
            query = api.EventsQuery(after=cursor, types=wanted, order_id=order_id, run_id=run_id, limit=1_000)
            page = await self._client.call(api.LIST_EVENTS, query=query)
            for event in page.events:
                yield event
            cursor = page.next_after

    async def orders_in(
        self, phases: Iterable[OrderPhase], theater_id: str | None = None
    ) -> AsyncIterator[tuple[OrderSnapshot, Lease | None]]:
        """Iterate over all orders in the given phases, with their leases."""
        cursor = None
        wanted = ",".join(phases)
        while True:
            query = api.OrdersQuery(phases=wanted, theater_id=theater_id, cursor=cursor, limit=500)
            page = await self._client.call(api.LIST_ORDERS, query=query)
            leases = {lease.order_id: lease for lease in page.leases}
            for order in page.orders:
                yield order, leases.get(order.order_id)
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    async def follow(
        self,
        types: Iterable[EventType] | None = None,
        run_id: str | None = None,
        after: int = -1,
        connected: Callable[[], None] | None = None,
    ) -> AsyncIterator[Event]:
        """Yield events as they are committed, reconnecting for ever; `after` -1 starts at the head.

        A reconnection resumes after the last event seen, so that nothing between is skipped. `connected` is
        called each time the stream stands: what came before that was not streamed.
        """
        wanted = ",".join(types) if types is not None else None
        pause, longest = _RECONNECT_SECONDS
        while True:
            try:
                query = api.StreamQuery(after=after, types=wanted, run_id=run_id)
                fresh = True
                async for line in self._client.lines(api.STREAM_EVENTS, query):
                    pause = _RECONNECT_SECONDS[0]
                    if fresh and connected is not None:
                        connected()
                    fresh = False
                    if line.startswith(b"data:"):
                        event = msgspec.json.decode(line[5:].strip(), type=Event)
                        after = event.seq
                        yield event
            except Problem as error:
                log.info("ledger stream interrupted", reason=error.message)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)


def _named(event: NewEvent) -> NewEvent:
    """Return the event with an id, so that a retry of the call after a lost answer appends nothing twice."""
    return event if event.event_id else msgspec.structs.replace(event, event_id=new_id())
