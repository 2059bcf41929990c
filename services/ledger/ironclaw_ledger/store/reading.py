"""Reads, the pools, and the append lock. Every failure of the database is `Unavailable`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.chain import GENESIS_HASH, Checkpoint
from ironclaw_contracts.endpoints.ledger import EscalationsQuery, EventsQuery, OrdersQuery, RunsQuery
from ironclaw_contracts.endpoints.ledger_proof import Mainline
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import Event
from ironclaw_contracts.receipts import ProvenEvent
from ironclaw_contracts.snapshots import (
    Escalation,
    Lead,
    Lease,
    OrderSnapshot,
    OrderView,
    RunSnapshot,
    RunView,
)
from ironclaw_ledger.store.figures import SELECT_FIGURES, Figures, figures_of
from ironclaw_ledger.store.rows import (
    SELECT_MAINLINES,
    SELECT_PAGE,
    TAKE_LEAD,
    decode_escalation,
    decode_order,
    decode_run,
    event_of,
    frames_of,
    lead_of,
    lease_of,
    mainline_of,
    order_view_of,
)
from ironclaw_ledger.store.spending import SpendingStore
from ironclaw_ledger.store.transaction import APPEND_LOCK, CHANNEL, Transaction
from ironclaw_ledger.store.writers import Writers

_CHUNK = 2_000
_HASH_CHUNK = 50_000

# READ COMMITTED: the statements that follow this one see what the former holder of the lock committed.
_BEGIN = f"begin; select pg_advisory_xact_lock({APPEND_LOCK})"

_SELECT_EVENTS = """
select e.seq, e.body, e.hash, coalesce(p.hash, repeat('0', 64)) as prev_hash
from events e left join events p on p.seq = e.seq - 1
"""
# One statement each, so that a run and its orders, or an order and its lease, are of one moment.
_SELECT_RUN = """
select r.snapshot,
       array(select o.snapshot from orders o where o.run_id = r.run_id order by o.first_seq) as orders
from runs r where r.run_id = $1
"""
_SELECT_ORDERS = """
select o.snapshot, l.order_id, l.attempt, l.unit_id, l.expires_at, l.progressed_at, l.lease_seconds
from orders o left join leases l on l.order_id = o.order_id
"""
_SELECT_SEQ_UNTIL = """
select coalesce((select seq - 1 from events where ts > $1 order by seq limit 1),
                (select max(seq) from events), 0) as seq
"""
_SELECT_APPENDED_MAX = """
select greatest((select max(seq) from checkpoints), (select max(last_seq) from runs),
                (select max(last_seq) from orders), 0)
"""


def _available() -> AbstractAsyncContextManager[None]:
    return available("the ledger's database")


class Store:
    """Reads, and the append transaction."""

    def __init__(self, readers: asyncpg.Pool, writers: Writers) -> None:
        self._pool = readers
        self.spending = SpendingStore(readers)
        self._writers = writers
        self._appender_pid = 0

    @classmethod
    async def open(cls, url: str, size_max: int) -> "Store":
        """Open the pools: up to `size_max` connections for reads, and those that reads never take."""
        async with _available():
            readers = await open_pool(url, size_max=size_max)
            try:
                return cls(readers, await Writers.open(url))
            except BaseException:
                await close_pool(readers)
                raise

    async def close(self) -> None:
        """Close the pools."""
        await asyncio.gather(close_pool(self._pool), self._writers.close())

    @asynccontextmanager
    async def appending(self) -> AsyncGenerator[Transaction]:
        """Hold the append lock for one transaction; it commits when the body ends without an error."""
        async with _available(), self._writers.kept() as connection:
            self._appender_pid = connection.get_server_pid()
            await connection.execute(_BEGIN)  # an error from here on is rolled back as the pool takes it back
            yield Transaction(connection, locked=True)
            await connection.execute("commit")

    @asynccontextmanager
    async def hoping(self) -> AsyncGenerator[Transaction]:
        """Append in two round trips, holding nothing between: `save` raises `Moved` if that was wrong."""
        async with _available(), self._writers.kept() as connection:
            self._appender_pid = connection.get_server_pid()
            yield Transaction(connection, locked=False)

    @asynccontextmanager
    async def listening(
        self, callback: Callable[[int], None]
    ) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
        """Call back with the head whenever another replica committed, while the context is open.

        Yields a check that raises `Unavailable` once the connection that listens is gone.
        """
        async with _available(), self._writers.one() as connection:

            async def check() -> None:
                async with _available():
                    await connection.execute("select 1")

            def heard(_: object, pid: int, __: str, head: str) -> None:
                if pid != self._appender_pid:
                    callback(int(head))

            await connection.add_listener(CHANNEL, heard)
            try:
                yield check
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANNEL, heard)

    async def check_schema(self, version: int) -> None:
        """Raise `Unavailable` when the database is away or its schema is not at `version`."""
        try:
            row = await self._fetchrow("select max(version) as version from schema_migrations")
            found = row["version"] or 0
        except Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.UndefinedTableError):
                raise
            found = 0
        if found != version:
            raise Unavailable(
                f"the schema is at {found}, this program needs {version}:"
                " run `python -m ironclaw_ledger migrate`"
            )

    async def head(self) -> tuple[int, str]:
        """Return seq and hash of the newest event."""
        row = await self._fetchrow("select seq, hash from events order by seq desc limit 1")
        return (row["seq"], row["hash"]) if row else (0, GENESIS_HASH)

    async def events(self, query: EventsQuery, types: list[str] | None) -> list[Event]:
        """Return events after a cursor, oldest first; before one, newest first."""
        where, values = ["e.seq > $1"], [query.after]
        filters = (("e.type = any(${})", types), ("e.run_id = ${}", query.run_id))
        for sql, value in (
            *filters,
            ("e.seq < ${}", query.before),
            ("e.order_id = ${}", query.order_id),
            ("e.theater_id = ${}", query.theater_id),
        ):
            if value is not None:
                values.append(value)  # pyright: ignore[reportArgumentType]
                where.append(sql.format(len(values)))
        order = "asc" if query.before is None else "desc"
        sql = f"{_SELECT_EVENTS} where {' and '.join(where)} order by e.seq {order} limit {query.limit}"
        return [event_of(row) for row in await self._fetch(sql, *values)]

    async def frames(self, after: int, count: int) -> bytes:
        """Return the next events after a seq as server-sent events; they must be there."""
        return frames_of(await self._fetch(SELECT_PAGE, after, count), after)

    async def event_chunks(self, until: int = 2**63 - 1) -> AsyncIterator[list[Any]]:
        """Yield the rows up to a seq in order: body, hash, and the columns that index them."""
        after = 0
        while True:
            rows = await self._fetch(
                "select seq, event_id, ts, type, theater_id, run_id, order_id, source, body, hash from events"
                " where seq > $1 and seq <= $2 order by seq limit $3",
                after,
                until,
                _CHUNK,
            )
            if not rows:
                return
            yield rows
            after = rows[-1]["seq"]

    async def bodies_of(self, run_id: str, until: int) -> list[ProvenEvent]:
        """Return a run's events up to a seq as they were hashed, oldest first."""
        sql = f"{_SELECT_EVENTS} where e.run_id = $1 and e.seq <= $2 order by e.seq"
        rows = await self._fetch(sql, run_id, until)
        return [ProvenEvent(r["seq"], r["body"], r["prev_hash"], r["hash"]) for r in rows]

    async def hash_chunks(self, until: int) -> AsyncIterator[list[bytes]]:
        """Yield the hashes of all events up to a seq, in order."""
        for after in range(0, until, _HASH_CHUNK):
            rows = await self._fetch(
                "select hash from events where seq > $1 and seq <= $2 order by seq",
                after,
                min(until, after + _HASH_CHUNK),
            )
            yield [bytes.fromhex(row["hash"]) for row in rows]

    async def events_of_runs(self, run_ids: list[str], until: int) -> list[Event]:
        """Return the events of runs up to a seq, oldest first."""
        sql = f"{_SELECT_EVENTS} where e.run_id = any($1) and e.seq <= $2 order by e.seq"
        rows = await self._fetch(sql, run_ids, until)
        return await asyncio.to_thread(lambda: [event_of(row) for row in rows])

    async def created(
        self, kind: str, before: int, theater_id: str | None, run_id: str | None, limit: int
    ) -> list[Event]:
        """Return events of a kind before a seq, newest first."""
        conditions = {
            "e.type = ${}": kind,
            "e.seq < ${}": before,
            "e.theater_id = ${}": theater_id,
            "e.run_id = ${}": run_id,
        }
        return [event_of(row) for row in await self._newest(_SELECT_EVENTS, "e.seq", conditions, limit - 1)]

    async def run_of(self, order_id: str, until: int) -> str | None:
        """Return the run of an order that existed at a seq."""
        sql = "select run_id from events where order_id = $1 and seq <= $2 order by seq limit 1"
        row = await self._fetchrow(sql, order_id, until)
        return row["run_id"] if row else None

    async def seq_until(self, moment: datetime) -> int:
        """Return the seq before the first event that happened after a moment; reads all before it."""
        row = await self._fetchrow(_SELECT_SEQ_UNTIL, moment)
        return row["seq"]

    async def time_of(self, seq: int) -> datetime | None:
        """Return when an event happened."""
        row = await self._fetchrow("select ts from events where seq = $1", seq)
        return row["ts"] if row else None

    async def mainlines(self, until: int, theater_id: str | None) -> list[Mainline]:
        """Return where the mainlines stood at a seq, by theater."""
        return [mainline_of(row) for row in await self._fetch(SELECT_MAINLINES, until, theater_id)]

    async def run(self, run_id: str) -> RunView | None:
        """Return a run with its orders, oldest first."""
        row = await self._fetchrow(_SELECT_RUN, run_id)
        if row is None:
            return None
        return RunView(run=decode_run(row["snapshot"]), orders=[decode_order(text) for text in row["orders"]])

    async def orders_of(self, run_id: str) -> list[OrderSnapshot]:
        """Return the orders of a run, oldest first."""
        rows = await self._fetch("select snapshot from orders where run_id = $1 order by first_seq", run_id)
        return [decode_order(row["snapshot"]) for row in rows]

    async def order(self, order_id: str) -> OrderView | None:
        """Return an order with its lease."""
        row = await self._fetchrow(f"{_SELECT_ORDERS} where o.order_id = $1", order_id)
        return order_view_of(row) if row else None

    async def runs(self, query: RunsQuery) -> list[RunSnapshot]:
        """Return runs, newest first, one more than the limit where there are more."""
        conditions = {
            "status = ${}": query.status,
            "theater_id = ${}": query.theater_id,
            "first_seq < ${}": query.cursor,
        }
        rows = await self._newest("select snapshot from runs", "first_seq", conditions, query.limit)
        return [decode_run(row["snapshot"]) for row in rows]

    async def orders(self, query: OrdersQuery, phases: list[str] | None) -> list[OrderView]:
        """Return orders with their leases, newest first, one more than the limit where there are more."""
        conditions = {
            "o.run_id = ${}": query.run_id,
            "o.theater_id = ${}": query.theater_id,
            "o.status = ${}": query.status,
            "o.phase = ${}": query.phase,
            "o.phase = any(${})": phases,
            "o.first_seq < ${}": query.cursor,
        }
        rows = await self._newest(_SELECT_ORDERS, "o.first_seq", conditions, query.limit)
        return [order_view_of(row) for row in rows]

    async def _newest(self, select: str, order: str, conditions: dict[str, Any], limit: int) -> list[Any]:
        """Select the newest rows that meet the conditions whose value is not None."""
        given = [(sql, value) for sql, value in conditions.items() if value is not None]
        where = " and ".join(sql.format(n) for n, (sql, _) in enumerate(given, start=1)) or "true"
        # The names in it are ours; values travel as parameters.
        sql = f"{select} where {where} order by {order} desc limit {limit + 1}"
        return await self._fetch(sql, *(value for _, value in given))

    async def leases(self, order_ids: list[str]) -> dict[str, Lease]:
        """Return the leases on the given orders."""
        rows = await self._fetch("select * from leases where order_id = any($1)", order_ids)
        return {row["order_id"]: lease_of(row) for row in rows}

    async def renew(self, lease: Lease) -> Lease | None:
        """Prolong a lease that is still the unit's; None when it is not."""
        row = await self._fetchrow(
            "update leases set expires_at = $4, progressed_at = greatest(progressed_at, $5),"
            " lease_seconds = $6"
            " where order_id = $1 and attempt = $2 and unit_id = $3 returning *",
            lease.order_id,
            lease.attempt,
            lease.unit_id,
            lease.expires_at,
            lease.progressed_at,
            lease.lease_seconds,
        )
        return lease_of(row) if row else None

    async def escalations(self, query: EscalationsQuery) -> list[Escalation]:
        """Return up to `limit` escalations, newest first, and one more if there are more."""
        conditions = {"severity = ${}": query.severity, "state = ${}": query.state, "seq < ${}": query.cursor}
        rows = await self._newest("select snapshot from escalations", "seq", conditions, query.limit)
        return [decode_escalation(row["snapshot"]) for row in rows]

    async def take_lead(self, lead: Lead, now: datetime) -> Lead:
        """Take or keep a lead that is free, run out, or the holder's own; return whose it is now."""
        row = None
        while row is None:  # whoever took it at the same moment is seen at the next look
            row = await self._fetchrow(
                TAKE_LEAD, lead.lead_id, lead.service, lead.holder, lead.expires_at, now
            )
        return lead_of(row)

    async def release_lead(self, lead_id: str, service: str, holder: str) -> bool:
        """Give a lead up; False when it was not the holder's any more."""
        row = await self._fetchrow(
            "delete from leads where lead_id = $1 and service = $2 and holder = $3 returning lead_id",
            lead_id,
            service,
            holder,
        )
        return row is not None

    async def figures(self, now: datetime) -> Figures:
        """Return how much there is of what is open."""
        return figures_of(await self._fetch(SELECT_FIGURES, now))

    async def checkpoints(self) -> list[Checkpoint]:
        """Return all signed checkpoints, oldest first."""
        rows = await self._fetch("select seq, hash, signature, public_key from checkpoints order by seq")
        return [Checkpoint(r["seq"], r["hash"], r["signature"], r["public_key"]) for r in rows]

    async def appended_max(self) -> int:
        """Return the highest seq that checkpoints and snapshots speak of; events up to it must be there."""
        return (await self._fetchrow(_SELECT_APPENDED_MAX))[0]

    async def newest_checkpoint(self) -> Checkpoint | None:
        """Return the newest signed checkpoint."""
        row = await self._fetchrow("select * from checkpoints order by seq desc limit 1")
        return Checkpoint(row["seq"], row["hash"], row["signature"], row["public_key"]) if row else None

    async def snapshot_texts(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Return the stored text of every run, order and escalation, by id."""
        runs = await self._fetch("select run_id, snapshot from runs")
        orders = await self._fetch("select order_id, snapshot from orders")
        escalations = await self._fetch("select escalation_id, snapshot from escalations")
        return (
            {r["run_id"]: r["snapshot"] for r in runs},
            {r["order_id"]: r["snapshot"] for r in orders},
            {r["escalation_id"]: r["snapshot"] for r in escalations},
        )

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with _available():
            return await self._pool.fetch(sql, *values)

    async def _fetchrow(self, sql: str, *values: Any) -> Any:
        async with _available():
            return await self._pool.fetchrow(sql, *values)
