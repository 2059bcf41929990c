"""Read and write a group of heartbeats: one statement each. SQL of the validator.

Nothing is held in between. The statement that writes takes effect only if all is still as it was read; if
not, the group is judged again (decision 31).
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from ironclaw_chassis.database import available
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.poi.receipts import AckStatus, Receipt
from ironclaw_openclawdbot.proof.beats import Beat, BeatState, ReceiptsNeeded
from ironclaw_openclawdbot.proof.entries import LastBeat
from ironclaw_openclawdbot.proof.rules import Node, NodeKey, Version

log = structlog.get_logger()

Answer = TypeVar("Answer")

_SECONDS = 5.0
_TRIES_MAX = 5
_LOAD = """
select
    (select json_agg(n) from nodes n where node_id = any($1)) as nodes,
    (select json_agg(k order by version) from node_keys k where node_id = any($1)) as keys,
    (select json_agg(h) from heartbeats h where node_id = any($1)) as beats,
    (select json_agg(i order by version) from intents i where intent_id = any($2)) as intents,
    (select json_agg(json_build_object('request_id', request_id, 'caller', caller, 'digest', digest))
     from audit where request_id = any($3) and at > $4 and status <> 'rejected') as requests
"""
# Only what is refused or repeated can have been answered before, so this is not asked for each group.
_RECEIPTS = """
select json_agg(json_build_object('ack_id', ack_id, 'receipt', receipt)) from audit where ack_id = any($1)
"""
# One group after the other, across processes, or two could wait for each other's rows. PostgreSQL looks at
# rows that it locks or updates as they are by then, whatever the statement saw when it began: so `held` finds
# a node and its key only as they were judged, and `moved` only the heartbeat that came before. Where one is
# not found, the division fails and nothing is written. An insert fails where its key, or its ACK, came
# meanwhile.
_SAVE = """
with turn as materialized (
    select pg_advisory_xact_lock(hashtextextended('openclawdbot.heartbeats', 0))
), given as materialized (
    select given.* from turn, json_to_recordset($1) as given (
        node_id text, key_version text, seq_no bigint, digest text, status text, received_at timestamptz,
        ack_id text, seen bigint, reputation double precision, retired_at timestamptz)
), held as (
    select from given g join node_keys k on k.node_id = g.node_id and k.version = g.key_version
        join nodes n on n.node_id = g.node_id
    where k.retired_at is not distinct from g.retired_at and n.reputation = g.reputation for share of k, n
), moved as (
    update heartbeats h
    set seq_no = g.seq_no, digest = g.digest, status = g.status, received_at = g.received_at,
        ack_id = g.ack_id
    from given g where h.node_id = g.node_id and h.key_version = g.key_version and h.seq_no = g.seen
    returning 1
), begun as (
    insert into heartbeats (node_id, key_version, seq_no, digest, status, received_at, ack_id)
    select node_id, key_version, seq_no, digest, status, received_at, ack_id from given where seen is null
), audited as (
    insert into audit (ack_id, kind, node_id, status, at, message, receipt, caller, request_id, digest)
    select * from json_to_recordset($2) as entries (
        ack_id text, kind text, node_id text, status text, at timestamptz, message jsonb, receipt jsonb,
        caller text, request_id text, digest text)
)
select 1 / (count(*) = (select count(*) from held)
            and count(seen) = (select count(*) from moved))::integer from given
"""
_MOVED = (asyncpg.DivisionByZeroError, asyncpg.UniqueViolationError)


class _NodeRow(Struct):
    node_id: str
    role: str
    reputation: float
    ours: bool


class _KeyRow(Struct):
    node_id: str
    version: str
    public_key_ref: str
    retired_at: datetime | None


class _BeatRow(Struct):
    node_id: str
    key_version: str
    seq_no: int
    digest: str
    ack_id: str


class _IntentRow(Struct):
    intent_id: str
    version: int
    hash: str
    status: AckStatus
    node_id: str


class _RequestRow(Struct):
    request_id: str
    caller: str
    digest: str


class _ReceiptRow(Struct):
    ack_id: str
    receipt: Receipt


class BeatStore:
    """Transactions over groups of heartbeats."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def judged(
        self, beats: list[Beat], since: datetime, judge: Callable[[BeatState], list[Answer]]
    ) -> list[Answer]:
        """Give what a group of heartbeats needs to `judge`, write what that changed, return what it answered.

        Request ids count that were used since a time. `judge` is called again when what it was given is no
        longer so. Raises `Unavailable`.
        """
        nodes = sorted({beat.message.node_id for beat in beats})
        intents = sorted({a.intent_id for beat in beats for a in beat.message.active_intents})
        requests = sorted({beat.message.request.request_id for beat in beats})
        with_receipts = False
        async with (
            available("openclawdbot's database"),
            self._pool.acquire(timeout=_SECONDS) as connection,
        ):
            for _ in range(_TRIES_MAX):
                state = _state_of(await connection.fetchrow(_LOAD, nodes, intents, requests, since))
                if with_receipts:
                    found = await connection.fetchval(_RECEIPTS, _ack_ids(beats, state))
                    state.receipts = {r.ack_id: r.receipt for r in _rows(found, _ReceiptRow)}
                try:
                    answers = judge(state)
                    if state.new_beats or state.entries:
                        await connection.execute(_SAVE, _new_beats(state), _new_entries(state))
                except (ReceiptsNeeded, *_MOVED) as cause:
                    log.debug("a group of heartbeats is judged again", size=len(beats), cause=repr(cause))
                    with_receipts = True
                else:
                    return answers
        raise Unavailable("the nodes of these heartbeats changed each time that they were judged")


def _rows(text: str | None, kind: type[Any]) -> list[Any]:
    return msgspec.json.decode(text, type=list[kind]) if text is not None else []


def _state_of(row: Any) -> BeatState:
    keys: defaultdict[str, list[NodeKey]] = defaultdict(list)
    for k in _rows(row["keys"], _KeyRow):
        keys[k.node_id].append(NodeKey(k.version, k.public_key_ref, k.retired_at))
    intents: defaultdict[str, list[Version]] = defaultdict(list)
    for i in _rows(row["intents"], _IntentRow):
        intents[i.intent_id].append(Version(i.version, i.hash, i.status, i.node_id))
    requests: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for r in _rows(row["requests"], _RequestRow):
        requests[r.caller, r.request_id].add(r.digest)
    return BeatState(
        nodes={
            n.node_id: Node(n.node_id, n.role, n.reputation, n.ours, keys[n.node_id])
            for n in _rows(row["nodes"], _NodeRow)
        },
        last={
            (b.node_id, b.key_version): LastBeat(b.seq_no, b.digest, b.ack_id)
            for b in _rows(row["beats"], _BeatRow)
        },
        intents=dict(intents),
        requests=dict(requests),
    )


def _ack_ids(beats: list[Beat], state: BeatState) -> list[str]:
    """Return every ACK that the heartbeats of a group may have had, or repeat."""
    ids = {last.ack_id for last in state.last.values()}
    for beat in beats:
        ids |= {beat.ack_id, beat.refusal_id}
    return sorted(ids)


def _new_beats(state: BeatState) -> str:
    rows: list[dict[str, Any]] = []
    for (node_id, version), new in state.new_beats.items():
        node = state.nodes[node_id]
        rows.append(
            {
                "node_id": node_id,
                "key_version": version,
                "seq_no": new.last.seq_no,
                "digest": new.last.digest,
                "status": new.status,
                "received_at": new.at,
                "ack_id": new.last.ack_id,
                "seen": new.seen,
                "reputation": node.reputation,
                "retired_at": next(key.retired_at for key in node.keys if key.version == version),
            }
        )
    return msgspec.json.encode(rows).decode()


def _new_entries(state: BeatState) -> str:
    return msgspec.json.encode(
        [
            {
                "ack_id": e.ack_id,
                "kind": e.kind,
                "node_id": e.node_id,
                "status": e.status,
                "at": e.at,
                "message": e.message,
                "receipt": e.receipt,
                "caller": e.message["mcp_request"]["caller"]["agent_id"],
                "request_id": e.message["mcp_request"]["request_id"],
                "digest": e.digest,
            }
            for e in state.entries
        ]
    ).decode()
