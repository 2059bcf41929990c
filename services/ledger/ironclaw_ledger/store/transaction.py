"""The append transaction: what it loads, what it writes."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from ironclaw_contracts.chain import GENESIS_HASH, Checkpoint
from ironclaw_contracts.endpoints.ledger import Appended
from ironclaw_contracts.snapshots import PATROL_LEAD, Escalation, Lead, Lease, OrderSnapshot, RunSnapshot
from ironclaw_ledger.append import State
from ironclaw_ledger.fold import as_text
from ironclaw_ledger.store.rows import decode_escalation, decode_order, decode_run

CHANNEL = "ironclaw_ledger"

# Everything in one statement, since each would cost a round trip while all appends wait. The leases are
# locked: a renewal under way is seen, and a later one finds the lease gone when this transaction ends it.
_LOAD = """
with held as (select * from leases where order_id = any($2) order by order_id for update)
select 'head' as kind, null as id, seq, hash as text, null::timestamptz as at, null::integer as attempt,
       null::bytea as fingerprint, null::integer as seconds
from (select seq, hash from events order by seq desc limit 1) head
union all
select 'known', event_id, seq, hash, ts, null, fingerprint, null from events where event_id = any($1)
union all
select 'order', order_id, null, snapshot, null, null, null, null from orders where order_id = any($2)
union all
select 'run', run_id, null, snapshot, null, null, null, null from runs
where run_id in (select unnest($3::text[]) union select run_id from orders where order_id = any($2))
union all
select 'lease', order_id, null, unit_id, expires_at, attempt, null, lease_seconds from held
union all
select 'escalation', escalation_id, null, snapshot, null, null, null, null from escalations
where escalation_id = any($4)
union all
select 'lead', service, null, holder, expires_at, null, null, null from leads where lead_id = $5
"""
# The other replicas hear of it when the transaction commits.
_INSERT_EVENTS = """
with inserted as (
    insert into events
        (seq, event_id, ts, type, theater_id, run_id, order_id, source, fingerprint, body, hash)
    select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::bytea[], $10::text[], $11::text[])
)
select pg_notify($12, $13)
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
_UPSERT_LEASES = """
insert into leases (order_id, attempt, unit_id, expires_at, lease_seconds)
select * from unnest($1::text[], $2::integer[], $3::text[], $4::timestamptz[], $5::integer[])
on conflict (order_id) do update
set attempt = excluded.attempt, unit_id = excluded.unit_id, expires_at = excluded.expires_at,
    lease_seconds = excluded.lease_seconds, progressed_at = null
"""


_UPSERT_ESCALATIONS = """
insert into escalations (escalation_id, severity, state, seq, snapshot)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
on conflict (escalation_id) do update set state = excluded.state, snapshot = excluded.snapshot
"""


class Transaction:
    """One append transaction, holding the lock that makes seq gap-free and the chain linear."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

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
            _LOAD, event_ids, list(order_ids), list(run_ids), list(escalation_ids), PATROL_LEAD
        )
        of: defaultdict[str, list[Any]] = defaultdict(list)
        for row in rows:
            of[row["kind"]].append(row)
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
            CHANNEL,
            str(state.seq),
        )
        await upsert_runs(self._connection, state.changed_runs.values())
        await upsert_orders(self._connection, state.changed_orders.values())
        await upsert_escalations(self._connection, state.changed_escalations.values())
        await self._save_leases(state.changed_leases)
        for checkpoint in checkpoints:
            await _insert_checkpoint(self._connection, checkpoint)

    async def replace_snapshots(
        self,
        runs: Iterable[RunSnapshot],
        orders: Iterable[OrderSnapshot],
        escalations: Iterable[Escalation],
    ) -> None:
        """Replace every snapshot by the given ones."""
        await self._connection.execute("delete from escalations")
        await upsert_escalations(self._connection, escalations)
        await self._connection.execute("delete from runs")
        await self._connection.execute("delete from orders")
        await upsert_runs(self._connection, runs)
        await upsert_orders(self._connection, orders)

    async def _save_leases(self, leases: dict[str, Lease | None]) -> None:
        ended = [order_id for order_id, lease in leases.items() if lease is None]
        if ended:
            await self._connection.execute("delete from leases where order_id = any($1)", ended)
        held = [lease for lease in leases.values() if lease is not None]
        if held:
            await self._connection.execute(
                _UPSERT_LEASES,
                [lease.order_id for lease in held],
                [lease.attempt for lease in held],
                [lease.unit_id for lease in held],
                [lease.expires_at for lease in held],
                [lease.lease_seconds for lease in held],
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


async def upsert_escalations(connection: Any, escalations: Iterable[Escalation]) -> None:
    """Write escalations."""
    listed = list(escalations)
    if listed:
        await connection.execute(
            _UPSERT_ESCALATIONS,
            [e.escalation_id for e in listed],
            [e.severity.value for e in listed],
            [e.state for e in listed],
            [e.seq for e in listed],
            [as_text(e) for e in listed],
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
