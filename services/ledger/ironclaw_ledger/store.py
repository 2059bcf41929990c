"""The ledger's tables. The only place with SQL; every failure of the database is `Unavailable`."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from ironclaw_chassis.database import open_pool
from ironclaw_contracts.chain import GENESIS_HASH, Checkpoint
from ironclaw_contracts.endpoints.ledger import Appended, EventsQuery, OrdersQuery, RunsQuery
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import Lease, OrderSnapshot, RunSnapshot
from ironclaw_ledger.append import State, event_from_body
from ironclaw_ledger.fold import as_text

_APPEND_LOCK = 0x1C1A_0002
CHANNEL = "ironclaw_ledger"
_CHUNK = 2_000

_decode_run = msgspec.json.Decoder(RunSnapshot).decode
_decode_order = msgspec.json.Decoder(OrderSnapshot).decode

_INSERT_EVENTS = """
insert into events (seq, event_id, ts, type, theater_id, run_id, order_id, source, fingerprint, body, hash)
select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::bytea[], $10::text[], $11::text[])
"""
_UPSERT_RUNS = """
insert into runs (run_id, theater_id, status, first_seq, last_seq, snapshot)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
on conflict (run_id) do update
set status = excluded.status, last_seq = excluded.last_seq, snapshot = excluded.snapshot
"""
_UPSERT_ORDERS = """
insert into orders (order_id, run_id, theater_id, phase, status, first_seq, last_seq, snapshot)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::text[])
on conflict (order_id) do update
set phase = excluded.phase, status = excluded.status, last_seq = excluded.last_seq,
    snapshot = excluded.snapshot
"""
_SELECT_EVENTS = """
select e.seq, e.body, e.hash, coalesce(p.hash, repeat('0', 64)) as prev_hash
from events e left join events p on p.seq = e.seq - 1
"""


@asynccontextmanager
async def _available() -> AsyncGenerator[None]:
    """Turn whatever the database or its connection raises into `Unavailable`."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise Unavailable(f"the ledger's database is away: {type(error).__name__}") from error


class Transaction:
    """One append transaction, holding the lock that makes seq gap-free and the chain linear."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def load(self, event_ids: list[str], order_ids: set[str], run_ids: set[str]) -> State:
        """Return all that deciding the group needs: the head, known events, snapshots, leases."""
        fetch = self._connection.fetch
        head = await self._connection.fetchrow("select seq, hash from events order by seq desc limit 1")
        known_rows = await fetch(
            "select event_id, seq, ts, hash, fingerprint from events where event_id = any($1)", event_ids
        )
        orders = await self._orders(order_ids) if order_ids else {}
        needed = {d for order in orders.values() for d in order.depends_on} - set(orders)
        if needed:
            orders |= await self._orders(needed)
        run_ids = run_ids | {order.run_id for order in orders.values()}
        run_rows = (
            await fetch("select snapshot from runs where run_id = any($1)", list(run_ids)) if run_ids else []
        )
        lease_rows = (
            await fetch("select * from leases where order_id = any($1)", list(orders)) if orders else []
        )
        runs = [_decode_run(row["snapshot"]) for row in run_rows]
        return State(
            seq=head["seq"] if head else 0,
            head=head["hash"] if head else GENESIS_HASH,
            runs={run.run_id: run for run in runs},
            orders=orders,
            leases={row["order_id"]: _lease(row) for row in lease_rows},
            known={
                row["event_id"]: (
                    row["fingerprint"],
                    Appended(row["event_id"], row["seq"], row["ts"], row["hash"], duplicate=False),
                )
                for row in known_rows
            },
        )

    async def _orders(self, ids: Iterable[str]) -> dict[str, OrderSnapshot]:
        rows = await self._connection.fetch("select snapshot from orders where order_id = any($1)", list(ids))
        return {order.order_id: order for order in (_decode_order(row["snapshot"]) for row in rows)}

    async def save(self, state: State, checkpoints: list[Checkpoint]) -> None:
        """Write what the group changed, and tell the other replicas."""
        rows = state.rows
        await self._connection.execute(
            _INSERT_EVENTS,
            [r.event.seq for r in rows],
            [r.event.event_id for r in rows],
            [r.event.ts for r in rows],
            [r.event.type.value for r in rows],
            [r.event.theater_id for r in rows],
            [r.event.run_id for r in rows],
            [r.event.order_id for r in rows],
            [r.event.source for r in rows],
            [r.fingerprint for r in rows],
            [r.body.decode() for r in rows],
            [r.event.hash for r in rows],
        )
        await upsert_runs(self._connection, state.changed_runs.values())
        await upsert_orders(self._connection, state.changed_orders.values())
        await self._save_leases(state.changed_leases)
        for checkpoint in checkpoints:
            await _insert_checkpoint(self._connection, checkpoint)
        await self._connection.execute("select pg_notify($1, $2)", CHANNEL, str(state.seq))

    async def replace_snapshots(self, runs: Iterable[RunSnapshot], orders: Iterable[OrderSnapshot]) -> None:
        """Replace every snapshot by the given ones."""
        await self._connection.execute("delete from runs")
        await self._connection.execute("delete from orders")
        await upsert_runs(self._connection, runs)
        await upsert_orders(self._connection, orders)

    async def _save_leases(self, leases: dict[str, Lease | None]) -> None:
        for order_id, lease in leases.items():
            if lease is None:
                await self._connection.execute("delete from leases where order_id = $1", order_id)
            else:
                await self._connection.execute(
                    "insert into leases (order_id, attempt, unit_id, expires_at) values ($1, $2, $3, $4)"
                    " on conflict (order_id) do update set attempt = excluded.attempt,"
                    " unit_id = excluded.unit_id, expires_at = excluded.expires_at",
                    order_id,
                    lease.attempt,
                    lease.unit_id,
                    lease.expires_at,
                )


async def upsert_runs(connection: Any, runs: Iterable[RunSnapshot]) -> None:
    """Write run snapshots."""
    listed = list(runs)
    if listed:
        await connection.execute(
            _UPSERT_RUNS,
            [r.run_id for r in listed],
            [r.theater_id for r in listed],
            [r.status.value for r in listed],
            [r.first_seq for r in listed],
            [r.last_seq for r in listed],
            [as_text(r) for r in listed],
        )


async def upsert_orders(connection: Any, orders: Iterable[OrderSnapshot]) -> None:
    """Write order snapshots."""
    listed = list(orders)
    if listed:
        await connection.execute(
            _UPSERT_ORDERS,
            [o.order_id for o in listed],
            [o.run_id for o in listed],
            [o.theater_id for o in listed],
            [o.phase.value for o in listed],
            [o.status.value for o in listed],
            [o.first_seq for o in listed],
            [o.last_seq for o in listed],
            [as_text(o) for o in listed],
        )


async def _insert_checkpoint(connection: Any, checkpoint: Checkpoint) -> None:
    await connection.execute(
        "insert into checkpoints (seq, hash, signature, public_key) values ($1, $2, $3, $4)"
        " on conflict do nothing",
        checkpoint.seq,
        checkpoint.hash,
        checkpoint.signature,
        checkpoint.public_key,
    )


def _lease(row: Any) -> Lease:
    return Lease(row["order_id"], row["attempt"], row["unit_id"], row["expires_at"])


def _event(row: Any) -> Event:
    return event_from_body(row["body"], row["prev_hash"], row["hash"])


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
        await self._pool.close()

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
        return [_event(row) for row in await self._fetch(sql, *values)]

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
        return [_event(row) for row in await self._fetch(sql, run_id, at_seq)]

    async def run(self, run_id: str) -> RunSnapshot | None:
        """Return a run's snapshot."""
        row = await self._fetchrow("select snapshot from runs where run_id = $1", run_id)
        return _decode_run(row["snapshot"]) if row else None

    async def orders_of(self, run_id: str) -> list[OrderSnapshot]:
        """Return the orders of a run, oldest first."""
        rows = await self._fetch("select snapshot from orders where run_id = $1 order by first_seq", run_id)
        return [_decode_order(row["snapshot"]) for row in rows]

    async def order(self, order_id: str) -> OrderSnapshot | None:
        """Return an order's snapshot."""
        row = await self._fetchrow("select snapshot from orders where order_id = $1", order_id)
        return _decode_order(row["snapshot"]) if row else None

    async def runs(self, query: RunsQuery) -> list[RunSnapshot]:
        """Return runs, newest first, one more than the limit where there are more."""
        filters = {"status": query.status, "theater_id": query.theater_id}
        return [_decode_run(t) for t in await self._newest("runs", filters, None, query.cursor, query.limit)]

    async def orders(self, query: OrdersQuery, phases: list[str] | None) -> list[OrderSnapshot]:
        """Return orders, newest first, one more than the limit where there are more."""
        filters = {
            "run_id": query.run_id,
            "theater_id": query.theater_id,
            "status": query.status,
            "phase": query.phase,
        }
        found = await self._newest("orders", filters, phases, query.cursor, query.limit)
        return [_decode_order(text) for text in found]

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
        return {row["order_id"]: _lease(row) for row in rows}

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
        return _lease(row) if row else None

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
