"""Reads, the pool, and the append lock. Every failure of the database is `Unavailable`."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.chain import GENESIS_HASH, Checkpoint
from ironclaw_contracts.endpoints.ledger import EventsQuery, OrdersQuery, RunsQuery
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import Lease, OrderSnapshot, RunSnapshot
from ironclaw_ledger.store.rows import decode_order, decode_run, event_of, lease_of
from ironclaw_ledger.store.transaction import CHANNEL, Transaction

_APPEND_LOCK = 0x1C1A_0002
_CHUNK = 2_000

_SELECT_EVENTS = """
select e.seq, e.body, e.hash, coalesce(p.hash, repeat('0', 64)) as prev_hash
from events e left join events p on p.seq = e.seq - 1
"""


def _available() -> AbstractAsyncContextManager[None]:
    return available("the ledger's database")


class Store:
    """Reads, and the append transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size_max: int) -> "Store":
        """Open the pool."""
        async with _available():
            return cls(await open_pool(url, size_max=size_max))

    async def close(self) -> None:
        """Close the pool."""
        await close_pool(self._pool)

    @asynccontextmanager
    async def appending(self) -> AsyncGenerator[Transaction]:
        """Hold the append lock for one transaction; it commits when the body ends without an error."""
        async with _available(), self._pool.acquire(timeout=5) as connection, connection.transaction():
            # A statement of its own: the ones after it see what the former holder committed.
            await connection.execute("select pg_advisory_xact_lock($1)", _APPEND_LOCK)
            yield Transaction(connection)

    @asynccontextmanager
    async def listening(self, callback: Any) -> AsyncGenerator[None]:
        """Call back with each payload that any replica notifies, while the context is open."""
        async with _available(), self._pool.acquire(timeout=5) as connection:
            await connection.add_listener(CHANNEL, callback)
            try:
                yield
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANNEL, callback)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or the schema is not there."""
        await self.head()

    async def head(self) -> tuple[int, str]:
        """Return seq and hash of the newest event."""
        row = await self._fetchrow("select seq, hash from events order by seq desc limit 1")
        return (row["seq"], row["hash"]) if row else (0, GENESIS_HASH)

    async def events(self, query: EventsQuery, types: list[str] | None) -> list[Event]:
        """Return events after a cursor, oldest first."""
        where, values = ["e.seq > $1"], [query.after]
        filters = (("e.type = any(${})", types), ("e.run_id = ${}", query.run_id))
        for sql, value in (
            *filters,
            ("e.order_id = ${}", query.order_id),
            ("e.theater_id = ${}", query.theater_id),
        ):
            if value is not None:
                values.append(value)  # pyright: ignore[reportArgumentType]
                where.append(sql.format(len(values)))
        sql = f"{_SELECT_EVENTS} where {' and '.join(where)} order by e.seq limit {query.limit}"
        return [event_of(row) for row in await self._fetch(sql, *values)]

    async def event_chunks(self) -> AsyncIterator[list[Any]]:
        """Yield all rows in order: seq, event_id, type, run_id, order_id, source, body, hash."""
        after = 0
        while True:
            rows = await self._fetch(
                "select seq, event_id, type, run_id, order_id, source, body, hash from events"
                " where seq > $1 order by seq limit $2",
                after,
                _CHUNK,
            )
            if not rows:
                return
            yield rows
            after = rows[-1]["seq"]

    async def run_events(self, run_id: str, at_seq: int) -> list[Event]:
        """Return a run's events up to a seq."""
        sql = f"{_SELECT_EVENTS} where e.run_id = $1 and e.seq <= $2 order by e.seq"
        return [event_of(row) for row in await self._fetch(sql, run_id, at_seq)]

    async def run(self, run_id: str) -> RunSnapshot | None:
        """Return a run's snapshot."""
        row = await self._fetchrow("select snapshot from runs where run_id = $1", run_id)
        return decode_run(row["snapshot"]) if row else None

    async def orders_of(self, run_id: str) -> list[OrderSnapshot]:
        """Return the orders of a run, oldest first."""
        rows = await self._fetch("select snapshot from orders where run_id = $1 order by first_seq", run_id)
        return [decode_order(row["snapshot"]) for row in rows]

    async def order(self, order_id: str) -> OrderSnapshot | None:
        """Return an order's snapshot."""
        row = await self._fetchrow("select snapshot from orders where order_id = $1", order_id)
        return decode_order(row["snapshot"]) if row else None

    async def runs(self, query: RunsQuery) -> list[RunSnapshot]:
        """Return runs, newest first, one more than the limit where there are more."""
        filters = {"status": query.status, "theater_id": query.theater_id}
        return [decode_run(t) for t in await self._newest("runs", filters, None, query.cursor, query.limit)]

    async def orders(self, query: OrdersQuery, phases: list[str] | None) -> list[OrderSnapshot]:
        """Return orders, newest first, one more than the limit where there are more."""
        filters = {
            "run_id": query.run_id,
            "theater_id": query.theater_id,
            "status": query.status,
            "phase": query.phase,
        }
        found = await self._newest("orders", filters, phases, query.cursor, query.limit)
        return [decode_order(text) for text in found]

    async def _newest(
        self, table: str, filters: dict[str, Any], phases: list[str] | None, cursor: int | None, limit: int
    ) -> list[str]:
        where, values = ["true"], []
        for column, value in filters.items():
            if value is not None:
                values.append(str(value))
                where.append(f"{column} = ${len(values)}")
        if phases is not None:
            values.append(phases)
            where.append(f"phase = any(${len(values)})")
        if cursor is not None:
            values.append(cursor)
            where.append(f"first_seq < ${len(values)}")
        condition = " and ".join(where)
        # The names in it are ours; values travel as parameters.
        sql = f"select snapshot from {table} where {condition} order by first_seq desc limit {limit + 1}"  # noqa: S608
        return [row["snapshot"] for row in await self._fetch(sql, *values)]

    async def leases(self, order_ids: list[str]) -> dict[str, Lease]:
        """Return the leases on the given orders."""
        rows = await self._fetch("select * from leases where order_id = any($1)", order_ids)
        return {row["order_id"]: lease_of(row) for row in rows}

    async def renew(self, order_id: str, attempt: int, unit_id: str, expires_at: datetime) -> Lease | None:
        """Prolong a lease that is still the unit's; None when it is not."""
        row = await self._fetchrow(
            "update leases set expires_at = $4 where order_id = $1 and attempt = $2 and unit_id = $3"
            " returning *",
            order_id,
            attempt,
            unit_id,
            expires_at,
        )
        return lease_of(row) if row else None

    async def checkpoints(self) -> list[Checkpoint]:
        """Return all signed checkpoints, oldest first."""
        rows = await self._fetch("select seq, hash, signature, public_key from checkpoints order by seq")
        return [Checkpoint(r["seq"], r["hash"], r["signature"], r["public_key"]) for r in rows]

    async def newest_checkpoint(self) -> Checkpoint | None:
        """Return the newest signed checkpoint."""
        row = await self._fetchrow("select * from checkpoints order by seq desc limit 1")
        return Checkpoint(row["seq"], row["hash"], row["signature"], row["public_key"]) if row else None

    async def snapshot_texts(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the stored text of every run and order snapshot, by id."""
        runs = await self._fetch("select run_id, snapshot from runs")
        orders = await self._fetch("select order_id, snapshot from orders")
        return {r["run_id"]: r["snapshot"] for r in runs}, {r["order_id"]: r["snapshot"] for r in orders}

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with _available():
            return await self._pool.fetch(sql, *values)

    async def _fetchrow(self, sql: str, *values: Any) -> Any:
        async with _available():
            return await self._pool.fetchrow(sql, *values)
