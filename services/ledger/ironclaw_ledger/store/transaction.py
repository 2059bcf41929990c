"""The append transaction: what it loads, what it writes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import asyncpg

from ironclaw_contracts.chain import GENESIS_HASH, Checkpoint
from ironclaw_contracts.endpoints.ledger import Appended
from ironclaw_contracts.snapshots import PATROL_LEAD, Escalation, Lead, Lease, OrderSnapshot, RunSnapshot
from ironclaw_ledger.append import Row, State
from ironclaw_ledger.fold import as_text
from ironclaw_ledger.store.rows import decode_escalation, decode_order, decode_run

CHANNEL = "ironclaw_ledger"

APPEND_LOCK = 0x1C1A_0002

# Everything in one statement, since each would cost a round trip while all appends wait.
_LOAD = """
with held as (
    select * from leases where order_id = any(string_to_array($2, chr(30))) order by order_id
)
select 'head' as kind, null as id, seq, hash as text, null::timestamptz as at, null::integer as attempt,
       null::bytea as fingerprint, null::integer as seconds
from (select seq, hash from events order by seq desc limit 1) head
union all
select 'known', event_id, seq, hash, ts, null, fingerprint, null from events
where event_id = any(string_to_array($1, chr(30)))
union all
select 'order', order_id, null, snapshot, null, null, null, null from orders
where order_id = any(string_to_array($2, chr(30)))
union all
select 'run', run_id, null, snapshot, null, null, null, null from runs
where run_id in (
    select unnest(string_to_array($3, chr(30)))
    union select run_id from orders where order_id = any(string_to_array($2, chr(30)))
)
union all
select 'lease', order_id, null, unit_id, expires_at, attempt, null, lease_seconds from held
union all
select 'escalation', escalation_id, null, snapshot, null, null, null, null from escalations
where escalation_id = any(string_to_array($4, chr(30)))
union all
select 'lead', service, null, holder, expires_at, null, null, null from leads where lead_id = $5
union all
select 'rebuilds', null, number, null, null, null, null, null from rebuilds
"""
# A renewal under way is seen, and a later one finds the lease gone when this transaction ends it.
_LOAD_HOLDING = _LOAD.replace("order by order_id\n", "order by order_id for update\n")


def _given(first: int, *types: str) -> str:
    """Return the SQL of rows whose columns are parameters from `first` on, made by `_column`.

    As arrays the driver would look at each value several times, which cost more than all else that an append
    does for an event.
    """
    columns = (f"string_to_array(${n}, chr(30), '')::{kind}[]" for n, kind in enumerate(types, first))
    return f"select * from unnest({', '.join(columns)})"  # noqa: S608 - the kinds are written below


def _column(values: Iterable[object]) -> str:
    """Return a column as one text; neither identifiers nor JSON hold the separator, and none is empty."""
    return "\x1e".join(["" if value is None else str(value) for value in values])


# One statement too: what a group leaves alone costs its part of it next to nothing. The other replicas hear
# of it when the transaction commits.
_CHANGES = f"""
facts as (
    insert into events
        (seq, event_id, ts, type, theater_id, run_id, order_id, source, fingerprint, body, hash)
    {_given(1, "bigint", "text", "timestamptz", *["text"] * 5, "bytea", "text", "text")}
), signed as (
    insert into checkpoints (seq, hash, signature, public_key)
    {_given(12, "bigint", "text", "text", "text")}
    on conflict do nothing
), of_runs as (
    insert into runs (run_id, theater_id, status, first_seq, last_seq, snapshot)
    {_given(16, "text", "text", "text", "bigint", "bigint", "text")}
    on conflict (run_id) do update
    set status = excluded.status, last_seq = excluded.last_seq, snapshot = excluded.snapshot
), of_orders as (
    insert into orders (order_id, run_id, theater_id, phase, status, first_seq, last_seq, snapshot)
    {_given(22, *["text"] * 5, "bigint", "bigint", "text")}
    on conflict (order_id) do update
    set phase = excluded.phase, status = excluded.status, last_seq = excluded.last_seq,
        snapshot = excluded.snapshot
), of_escalations as (
    insert into escalations (escalation_id, severity, state, seq, snapshot)
    {_given(30, "text", "text", "text", "bigint", "text")}
    on conflict (escalation_id) do update set state = excluded.state, snapshot = excluded.snapshot
), ended as (
    delete from leases where order_id = any(string_to_array($35, chr(30)))
), held as (
    insert into leases (order_id, attempt, unit_id, expires_at, lease_seconds)
    {_given(36, "text", "integer", "text", "timestamptz", "integer")}
    on conflict (order_id) do update
    set attempt = excluded.attempt, unit_id = excluded.unit_id, expires_at = excluded.expires_at,
        lease_seconds = excluded.lease_seconds, progressed_at = null
)
"""  # noqa: S608 - what is put in is SQL of ours
_SAVE = f"with {_CHANGES} select pg_notify($41, $42)"
# What was loaded without the lock still stands: seq is unique, so nobody appended since, and whoever rebuilds
# the snapshots counts it. The row is read as it is once the lock is had, not as it was when this began.
_SAVE_IF_UNMOVED = f"""
with turn as materialized (
    select pg_advisory_xact_lock({APPEND_LOCK})
), same as materialized (
    select 1 from rebuilds, turn where number = $43 for share of rebuilds
), {_CHANGES}
select pg_notify($41, $42), 1 / (select count(*) from same)
"""  # noqa: S608 - the same


class Moved(Exception):
    """Somebody else appended or rebuilt since this append was loaded."""


class Transaction:
    """One append: loaded, decided, saved.

    `locked` when a transaction is open that holds the append lock. Otherwise nothing is held while the append
    is decided, and `save` takes effect only if nothing moved meanwhile.
    """

    def __init__(self, connection: Any, *, locked: bool) -> None:
        self._connection = connection
        self._locked = locked
        self._rebuilds = 0

    async def load(
        self,
        event_ids: list[str],
        order_ids: set[str],
        run_ids: set[str],
        enqueued: set[str],
        escalation_ids: Collection[str] = (),
    ) -> State:
        """Return all that deciding the group needs: the head, known events, snapshots, leases.

        For the orders of `enqueued` that includes what they depend on.
        """
        rows = await self._connection.fetch(
            _LOAD_HOLDING if self._locked else _LOAD,
            _column(event_ids),
            _column(order_ids),
            _column(run_ids),
            _column(escalation_ids),
            PATROL_LEAD,
        )
        of: defaultdict[str, list[Any]] = defaultdict(list)
        for row in rows:
            of[row["kind"]].append(row)
        self._rebuilds = of["rebuilds"][0]["seq"]
        head = of["head"][0] if of["head"] else None
        runs = [decode_run(row["text"]) for row in of["run"]]
        orders = {row["id"]: decode_order(row["text"]) for row in of["order"]}
        needed = {d for order_id in enqueued & orders.keys() for d in orders[order_id].depends_on}
        if needed - orders.keys():
            orders |= await self._orders(needed - orders.keys())
        return State(
            seq=head["seq"] if head else 0,
            head=head["text"] if head else GENESIS_HASH,
            runs={run.run_id: run for run in runs},
            orders=orders,
            leases={
                r["id"]: Lease(r["id"], r["attempt"], r["text"], r["at"], lease_seconds=r["seconds"])
                for r in of["lease"]
            },
            known={
                row["id"]: (
                    row["fingerprint"],
                    Appended(row["id"], row["seq"], row["at"], row["text"], duplicate=False),
                )
                for row in of["known"]
            },
            escalations={row["id"]: decode_escalation(row["text"]) for row in of["escalation"]},
            lead=next((Lead(PATROL_LEAD, r["id"], r["text"], r["at"]) for r in of["lead"]), None),
        )

    async def _orders(self, ids: Iterable[str]) -> dict[str, OrderSnapshot]:
        rows = await self._connection.fetch("select snapshot from orders where order_id = any($1)", list(ids))
        return {order.order_id: order for order in (decode_order(row["snapshot"]) for row in rows)}

    async def save(self, state: State, checkpoints: list[Checkpoint]) -> None:
        """Write what the group changed, and tell the other replicas.

        Raises `Moved`, having written nothing, when what was loaded without the lock is out of date.
        """
        ended = [order_id for order_id, lease in state.changed_leases.items() if lease is None]
        held = [lease for lease in state.changed_leases.values() if lease is not None]
        columns = (
            *_event_columns(state.rows),
            (c.seq for c in checkpoints),
            (c.hash for c in checkpoints),
            (c.signature for c in checkpoints),
            (c.public_key for c in checkpoints),
            *_run_columns(state.changed_runs.values()),
            *_order_columns(state.changed_orders.values()),
            *_escalation_columns(state.changed_escalations.values()),
            ended,
            (lease.order_id for lease in held),
            (lease.attempt for lease in held),
            (lease.unit_id for lease in held),
            (lease.expires_at for lease in held),
            (lease.lease_seconds for lease in held),
        )
        values = (*map(_column, columns), CHANNEL, str(state.seq))
        if self._locked:
            await self._connection.execute(_SAVE, *values)
            return
        try:
            await self._connection.execute(_SAVE_IF_UNMOVED, *values, self._rebuilds)
        except (asyncpg.UniqueViolationError, asyncpg.DivisionByZeroError) as error:
            raise Moved from error

    async def replace_snapshots(
        self,
        runs: Iterable[RunSnapshot],
        orders: Iterable[OrderSnapshot],
        escalations: Iterable[Escalation],
    ) -> None:
        """Replace every snapshot by the given ones; the transaction must be locked."""
        await self._connection.execute("update rebuilds set number = number + 1")
        await self._connection.execute("delete from escalations; delete from runs; delete from orders")
        state = State(0, GENESIS_HASH, {}, {}, {}, {})
        state.changed_runs = {run.run_id: run for run in runs}
        state.changed_orders = {order.order_id: order for order in orders}
        state.changed_escalations = {found.escalation_id: found for found in escalations}
        await self.save(state, [])


def _event_columns(rows: list[Row]) -> Iterator[Iterable[object]]:
    events = [row.event for row in rows]
    stamps = {ts: str(ts) for ts in {e.ts for e in events}}  # most have the time of their group
    yield [e.seq for e in events]
    yield [e.event_id for e in events]
    yield [stamps[e.ts] for e in events]
    yield [e.type for e in events]
    yield [e.theater_id for e in events]
    yield [e.run_id for e in events]
    yield [e.order_id for e in events]
    yield [e.source for e in events]
    yield [f"\\x{row.fingerprint.hex()}" for row in rows]
    yield [row.body.decode() for row in rows]
    yield [e.hash for e in events]


def _run_columns(runs: Collection[RunSnapshot]) -> Iterator[Iterable[object]]:
    yield [r.run_id for r in runs]
    yield [r.theater_id for r in runs]
    yield [r.status for r in runs]
    yield [r.first_seq for r in runs]
    yield [r.last_seq for r in runs]
    yield [as_text(r) for r in runs]


def _order_columns(orders: Collection[OrderSnapshot]) -> Iterator[Iterable[object]]:
    yield [o.order_id for o in orders]
    yield [o.run_id for o in orders]
    yield [o.theater_id for o in orders]
    yield [o.phase for o in orders]
    yield [o.status for o in orders]
    yield [o.first_seq for o in orders]
    yield [o.last_seq for o in orders]
    yield [as_text(o) for o in orders]


def _escalation_columns(escalations: Collection[Escalation]) -> Iterator[Iterable[object]]:
    yield [e.escalation_id for e in escalations]
    yield [e.severity for e in escalations]
    yield [e.state for e in escalations]
    yield [e.seq for e in escalations]
    yield [as_text(e) for e in escalations]
