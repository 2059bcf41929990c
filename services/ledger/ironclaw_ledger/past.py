"""Answer as of an earlier event: replay what there was then, from the events alone.

Nothing here reads a snapshot, so that the past does not depend on what is derived from it. Leases are no
facts: as of then there are none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from ironclaw_contracts.as_of import parse_as_of
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints.ledger_proof import Mainlines, MainlinesQuery
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot, OrderView, RunSnapshot, RunView
from ironclaw_contracts.why import Why
from ironclaw_ledger.replay import Replay
from ironclaw_ledger.store import Store
from ironclaw_ledger.why import why_order, why_run

_CHUNK = 100


class _Snapshot(Protocol):
    @property
    def first_seq(self) -> int: ...


S = TypeVar("S", bound=_Snapshot)


class Past:
    """Reads the store as it was."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def seq_of(self, as_of: str) -> int:
        """Return the seq that a reader names.

        As of an instant is before the first event that happened later: senders may date an event back, and
        what was appended after that instant has no part in it. Raises `BadRequest` beyond the present.
        """
        point = parse_as_of(as_of)
        if isinstance(point, datetime):
            if point > datetime.now(UTC):
                raise BadRequest(f"as_of {as_of}: that is yet to come")
            return await self._store.seq_until(point)
        head, _ = await self._store.head()
        if point > head:
            raise BadRequest(f"as_of {as_of}: the ledger's newest event is {head}")
        return point

    async def run(self, run_id: str, seq: int) -> RunView:
        """Return a run with its orders. Raises `NotFound` when there was none yet."""
        view = (await self._replayed([run_id], seq)).view(run_id)
        if view is None:
            raise NotFound(f"there was no run {run_id!r} at seq {seq}")
        return view

    async def order(self, order_id: str, seq: int) -> OrderSnapshot:
        """Return an order. Raises `NotFound` when there was none yet."""
        run_id = await self._store.run_of(order_id, seq)
        replay = await self._replayed([run_id], seq) if run_id is not None else Replay()
        order = replay.orders.get(order_id)
        if order is None:
            raise NotFound(f"there was no order {order_id!r} at seq {seq}")
        return order

    async def runs(self, query: api.RunsQuery, seq: int) -> api.RunPage:
        """Return a page of runs."""
        runs = await _page(
            self._snapshots(EventType.RUN_CREATED, query.cursor, seq, query.theater_id, None, _runs_of),
            lambda run: query.status in (None, run.status),
            query.limit,
        )
        page = runs[: query.limit]
        return api.RunPage(runs=page, next_cursor=page[-1].first_seq if len(runs) > query.limit else None)

    async def orders(self, query: api.OrdersQuery, phases: list[str] | None, seq: int) -> api.OrderPage:
        """Return a page of orders."""

        def wanted(order: OrderSnapshot) -> bool:
            known = query.status in (None, order.status) and query.phase in (None, order.phase)
            return known and (phases is None or order.phase in phases)

        kind = EventType.ORDER_CREATED
        orders = await _page(
            self._snapshots(kind, query.cursor, seq, query.theater_id, query.run_id, _orders_of),
            wanted,
            query.limit,
        )
        page = orders[: query.limit]
        more = len(orders) > query.limit
        return api.OrderPage(orders=page, leases=[], next_cursor=page[-1].first_seq if more else None)

    async def why_run(self, run_id: str, seq: int) -> Why:
        """Say what a run waited for."""
        return why_run(await self.run(run_id, seq), {}, await self._moment(seq))

    async def why_order(self, order_id: str, seq: int) -> Why:
        """Say what an order waited for."""
        order = await self.order(order_id, seq)
        siblings = {o.order_id: o for o in (await self.run(order.run_id, seq)).orders}
        return why_order(order, siblings, {}, await self._moment(seq))

    async def mainlines(self, query: MainlinesQuery) -> Mainlines:
        """Return where mainlines stood: at the newest merge, else where the first worktree began."""
        seq = await self.seq_of(query.as_of)
        return Mainlines(seq=seq, mainlines=await self._store.mainlines(seq, query.theater_id))

    async def _moment(self, seq: int) -> datetime:
        return await self._store.time_of(seq) or datetime.now(UTC)

    async def _snapshots(
        self,
        kind: EventType,
        cursor: int | None,
        seq: int,
        theater_id: str | None,
        run_id: str | None,
        pick: Callable[[Replay, list[Event]], list[S]],
    ) -> AsyncIterator[S]:
        """Yield what events of a kind created, newest first, as it stood then."""
        before = min(seq + 1, cursor if cursor is not None else seq + 1)
        while created := await self._store.created(kind, before, theater_id, run_id, _CHUNK):
            replay = await self._replayed(sorted({e.run_id for e in created if e.run_id is not None}), seq)
            for snapshot in pick(replay, created):
                yield snapshot
            before = created[-1].seq

    async def _replayed(self, run_ids: list[str], seq: int) -> Replay:
        events = await self._store.events_of_runs(run_ids, seq)
        return await asyncio.to_thread(_replay, events)


async def _page(snapshots: AsyncIterator[S], wanted: Callable[[S], bool], limit: int) -> list[S]:
    """Return the first that are wanted, one more than the limit where there are more."""
    found: list[S] = []
    async for snapshot in snapshots:
        if wanted(snapshot):
            found.append(snapshot)
            if len(found) > limit:
                break
    return found


def _runs_of(replay: Replay, created: list[Event]) -> list[RunSnapshot]:
    return [replay.runs[event.run_id] for event in created if event.run_id is not None]


def _orders_of(replay: Replay, created: list[Event]) -> list[OrderSnapshot]:
    return [replay.orders[event.order_id] for event in created if event.order_id is not None]


def _replay(events: list[Event]) -> Replay:
    replay = Replay()
    for event in events:
        replay.feed(event)
    return replay


def as_order_view(order: OrderSnapshot) -> OrderView:
    """Return an order of the past as readers get one: without a lease."""
    return OrderView(order=order, lease=None)
