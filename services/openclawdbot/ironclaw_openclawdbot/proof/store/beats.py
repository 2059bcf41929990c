"""Read and write a group of heartbeats: one statement each, in one transaction. SQL of the validator."""

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ironclaw_chassis.database import available
from ironclaw_contracts.poi.receipts import AckStatus, Receipt
from ironclaw_openclawdbot.proof.beats import Beat, BeatState
from ironclaw_openclawdbot.proof.entries import LastBeat
from ironclaw_openclawdbot.proof.rules import Node, NodeKey, Version

_SECONDS = 5.0
# The locks that `ProofStore.judging` takes, always in one order: no two groups wait for each other.
_LOCK = """
select pg_advisory_xact_lock(key) from (
    select distinct hashtextextended(subject, 7) as key from unnest($1::text[]) as subject order by key
) as keys
"""
_LOAD = """
select
    (select json_agg(n) from nodes n where node_id = any($1)) as nodes,
    (select json_agg(k order by version) from node_keys k where node_id = any($1)) as keys,
    (select json_agg(h) from heartbeats h where node_id = any($1)) as beats,
    (select json_agg(i order by version) from intents i where intent_id = any($2)) as intents,
    (select json_agg(json_build_object('request_id', request_id, 'caller', caller, 'digest', digest))
     from audit where request_id = any($3) and at > $5 and status <> 'rejected') as requests,
    (select json_agg(json_build_object('ack_id', ack_id, 'receipt', receipt)) from audit
     where ack_id = any($4 || array(select ack_id from heartbeats where node_id = any($1)))) as receipts
"""
_SAVE = """
with newest as (
    insert into heartbeats (node_id, key_version, seq_no, digest, status, received_at, ack_id)
    select * from json_to_recordset($1) as given (node_id text, key_version text, seq_no bigint, digest text,
                                                  status text, received_at timestamptz, ack_id text)
    on conflict (node_id, key_version) do update
    set seq_no = excluded.seq_no, digest = excluded.digest, status = excluded.status,
        received_at = excluded.received_at, ack_id = excluded.ack_id
)
insert into audit (ack_id, kind, node_id, status, at, message, receipt, caller, request_id, digest)
select * from json_to_recordset($2) as given (ack_id text, kind text, node_id text, status text,
                                              at timestamptz, message jsonb, receipt jsonb, caller text,
                                              request_id text, digest text)
on conflict (ack_id) do nothing
"""


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

    @asynccontextmanager
    async def judging(self, beats: list[Beat], since: datetime) -> AsyncGenerator[BeatState]:
        """Hold the nodes of a group alone, and give what its heartbeats need; write what they changed.

        Request ids count that were used since a time.
        """
        ack_ids = [ack_id for beat in beats for ack_id in (beat.ack_id, beat.refusal_id)]
        nodes = sorted({beat.message.node_id for beat in beats})
        intents = sorted({a.intent_id for beat in beats for a in beat.message.active_intents})
        requests = sorted({beat.message.request.request_id for beat in beats})
        async with (
            available("openclawdbot's database"),
            self._pool.acquire(timeout=_SECONDS) as connection,
            connection.transaction(),
        ):
            await connection.execute(_LOCK, [f"node:{node_id}" for node_id in nodes])
            row = await connection.fetchrow(_LOAD, nodes, intents, requests, ack_ids, since)
            state = _state_of(row)
            yield state
            if state.new_beats or state.entries:
                await connection.execute(_SAVE, _new_beats(state), _new_entries(state))


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
        receipts={r.ack_id: r.receipt for r in _rows(row["receipts"], _ReceiptRow)},
        requests=dict(requests),
    )


def _new_beats(state: BeatState) -> str:
    return msgspec.json.encode(
        [
            {
                "node_id": node_id,
                "key_version": version,
                "seq_no": new.last.seq_no,
                "digest": new.last.digest,
                "status": new.status,
                "received_at": new.at,
                "ack_id": new.last.ack_id,
            }
            for (node_id, version), new in state.new_beats.items()
        ]
    ).decode()


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
