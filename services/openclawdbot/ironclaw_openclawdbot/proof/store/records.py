"""Nodes, intents, heartbeats and the audit of every message. The only place with the validator's SQL."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ironclaw_chassis.database import available
from ironclaw_openclawdbot.proof.entries import Entry, entry_of
from ironclaw_openclawdbot.proof.rules import Node, NodeKey, Version

_SECONDS = 5.0
_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 7))"
_REGISTER = """
insert into nodes (node_id, role, label, reputation, ours) values ($1, $2, $3, $4, $5)
on conflict (node_id) do update set label = excluded.label, ours = nodes.ours or excluded.ours
"""
_REGISTER_KEY = """
insert into node_keys (node_id, version, public_key_ref) values ($1, $2, $3)
on conflict (node_id, version) do nothing
"""
_AUDIT = """
insert into audit (ack_id, kind, node_id, intent_id, status, at, message, receipt, caller, request_id, digest)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (ack_id) do nothing
"""
# Only what was believed uses a request id up: a forger could use up anybody's.
_REUSED = """
select true from audit where request_id = $1 and caller = $2 and digest <> $3 and at > $4
    and status <> 'rejected' limit 1
"""
_MOVE = """
with moved as (
    insert into reputation_changes (node_id, outcome, before, after, cause)
    select node_id, $2, reputation, $3, $4 from nodes where node_id = $1
    on conflict (cause) do nothing returning node_id, after
)
update nodes set reputation = moved.after from moved where nodes.node_id = moved.node_id
"""
_PLANNERS = """
select distinct i.node_id from intents i join nodes n using (node_id) where i.campaign_ref = $1 and n.ours
"""
_CURSOR = """
insert into proof_cursors (name, seq) values ($1, $2)
on conflict (name) do update set seq = greatest(proof_cursors.seq, excluded.seq)
"""
_NODES = """
select n.*, b.status, b.seq_no, b.received_at as heard_at
from nodes n left join lateral (
    select * from heartbeats h where h.node_id = n.node_id order by received_at desc limit 1
) b on true order by n.label, n.node_id
"""


class Standing(Struct, frozen=True):
    """A node with its newest heartbeat, if there was one."""

    node_id: str
    role: str
    label: str
    reputation: float
    ours: bool
    status: str | None
    seq_no: int | None
    heard_at: datetime | None


class ReputationChange(Struct, frozen=True):
    """One move of a node's reputation, and what it was for."""

    node_id: str
    at: datetime
    outcome: str
    before: float
    after: float
    cause: str


class ProofStore:
    """Reads, and one transaction a message."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool, which groups of heartbeats share."""
        return self._pool

    @asynccontextmanager
    async def judging(self, subject: str) -> AsyncGenerator["ProofTransaction"]:
        """Hold a subject (an intent, a node) alone: concurrent messages about it are judged one by one."""
        async with (
            available("openclawdbot's database"),
            self._pool.acquire(timeout=_SECONDS) as connection,
            connection.transaction(),
        ):
            await connection.execute(_LOCK, subject)
            yield ProofTransaction(connection)

    async def nodes(self) -> list[Standing]:
        """Return every node with its newest heartbeat."""
        return [
            Standing(
                node_id=r["node_id"],
                role=r["role"],
                label=r["label"],
                reputation=r["reputation"],
                ours=r["ours"],
                status=r["status"],
                seq_no=r["seq_no"],
                heard_at=r["heard_at"],
            )
            for r in await self._fetch(_NODES)
        ]

    async def of_intent(self, intent_id: str) -> list[Entry]:
        """Return every message about an intent, oldest first."""
        rows = await self._fetch("select * from audit where intent_id = $1 order by id", intent_id)
        return [entry_of(row) for row in rows]

    async def of_campaign(self, campaign: str) -> list[Entry]:
        """Return every announcement for a campaign, oldest first; it looks through all intents."""
        rows = await self._fetch(
            "select * from audit where intent_id is not null and kind = 'announce'"
            " and message->'intent'->>'campaign_ref' = $1 order by id",
            campaign,
        )
        return [entry_of(row) for row in rows]

    async def reviews(self) -> list[Entry]:
        """Return what waits for a person, oldest first."""
        rows = await self._fetch(
            "select * from audit where status = 'needs_review' and not superseded order by id"
        )
        return [entry_of(row) for row in rows]

    async def after(self, ack_id: str | None, limit: int) -> list[Entry]:
        """Return a page of all messages in the order in which they came, after that of an ACK."""
        rows = await self._fetch(
            "select * from audit where id > coalesce((select id from audit where ack_id = $1), 0)"
            " order by id limit $2",
            ack_id,
            limit,
        )
        return [entry_of(row) for row in rows]

    async def keys(self) -> dict[str, list[NodeKey]]:
        """Return the keys of all nodes."""
        found: dict[str, list[NodeKey]] = {}
        for row in await self._fetch("select * from node_keys order by node_id, version"):
            key = NodeKey(row["version"], row["public_key_ref"], row["retired_at"])
            found.setdefault(row["node_id"], []).append(key)
        return found

    async def reputation_changes(self, node_id: str, limit: int) -> list[ReputationChange]:
        """Return how a node's reputation moved, newest first."""
        rows = await self._fetch(
            "select * from reputation_changes where node_id = $1 order by id desc limit $2", node_id, limit
        )
        return [
            ReputationChange(r["node_id"], r["at"], r["outcome"], r["before"], r["after"], r["cause"])
            for r in rows
        ]

    async def planners_of(self, campaign_ref: str) -> list[str]:
        """Return the garrison's own nodes that announced an intent for a campaign."""
        return [row["node_id"] for row in await self._fetch(_PLANNERS, campaign_ref)]

    async def cursor(self, name: str) -> int | None:
        """Return the seq that a cursor stands on; None when it was never moved."""
        rows = await self._fetch("select seq from proof_cursors where name = $1", name)
        return rows[0]["seq"] if rows else None

    async def move_cursor(self, name: str, seq: int) -> None:
        """Move a cursor forward."""
        await self._fetch(_CURSOR, name, seq)

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with available("openclawdbot's database"), self._pool.acquire(timeout=_SECONDS) as connection:
            return await connection.fetch(sql, *values, timeout=_SECONDS)


class ProofTransaction:
    """What judging one message reads and writes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def hold(self, subject: str) -> None:
        """Hold one more subject alone, to the end of the transaction."""
        await self._connection.execute(_LOCK, subject)

    async def node(self, node_id: str) -> Node | None:
        """Return a registered node with its keys."""
        row = await self._connection.fetchrow("select * from nodes where node_id = $1", node_id)
        if row is None:
            return None
        keys = await self._connection.fetch(
            "select * from node_keys where node_id = $1 order by version", node_id
        )
        return Node(
            node_id,
            row["role"],
            row["reputation"],
            row["ours"],
            [NodeKey(k["version"], k["public_key_ref"], k["retired_at"]) for k in keys],
        )

    async def register(
        self, node_id: str, role: str, label: str, reputation: float, key: NodeKey, *, ours: bool
    ) -> None:
        """Register a node, or one more version of its key."""
        await self._connection.execute(_REGISTER, node_id, role, label, reputation, ours)
        await self._connection.execute(_REGISTER_KEY, node_id, key.version, key.public_key_ref)

    async def retire(self, node_id: str, version: str, at: datetime) -> bool:
        """Retire a key; False when the node has none of that version."""
        row = await self._connection.fetchrow(
            "update node_keys set retired_at = coalesce(retired_at, $3)"
            " where node_id = $1 and version = $2 returning version",
            node_id,
            version,
            at,
        )
        return row is not None

    async def versions(self, intent_id: str) -> list[Version]:
        """Return the stored versions of an intent."""
        rows = await self._connection.fetch(
            "select i.*, coalesce(n.ours, false) as ours from intents i left join nodes n using (node_id)"
            " where i.intent_id = $1 order by i.version",
            intent_id,
        )
        return [Version(r["version"], r["hash"], r["status"], r["node_id"], r["ours"]) for r in rows]

    async def put_version(self, intent_id: str, version: Version, ack_id: str, campaign_ref: str) -> None:
        """Store a version of an intent, or what became of its review."""
        await self._connection.execute(
            "insert into intents (intent_id, version, hash, node_id, status, ack_id, campaign_ref)"
            " values ($1, $2, $3, $4, $5, $6, $7) on conflict (intent_id, version) do update"
            " set status = excluded.status, ack_id = excluded.ack_id",
            intent_id,
            version.version,
            version.hash,
            version.node_id,
            version.status,
            ack_id,
            campaign_ref,
        )

    async def ack_of(self, intent_id: str, version: int) -> str:
        """Return the id of the newest ACK to a version."""
        return await self._connection.fetchval(
            "select ack_id from intents where intent_id = $1 and version = $2", intent_id, version
        )

    async def move_reputation(self, node_id: str, outcome: str, after: float, cause: str) -> None:
        """Move a node's reputation, on record; the same cause moves it once."""
        await self._connection.execute(_MOVE, node_id, outcome, after, cause)

    async def request_is_reused(self, caller: str, request_id: str, digest: str, since: datetime) -> bool:
        """Tell whether a caller's request id stood on another message since a time."""
        return bool(await self._connection.fetchval(_REUSED, request_id, caller, digest, since))

    async def write(self, entry: Entry) -> None:
        """Audit a message with its receipt."""
        await self._connection.execute(
            _AUDIT,
            entry.ack_id,
            entry.kind,
            entry.node_id,
            entry.intent_id,
            entry.status,
            entry.at,
            msgspec.json.encode(entry.message).decode(),
            msgspec.json.encode(entry.receipt).decode(),
            entry.message["mcp_request"]["caller"]["agent_id"],
            entry.message["mcp_request"]["request_id"],
            entry.digest,
        )

    async def entry(self, ack_id: str) -> Entry | None:
        """Return an audited message by its ACK."""
        row = await self._connection.fetchrow("select * from audit where ack_id = $1", ack_id)
        return entry_of(row) if row else None

    async def supersede(self, ack_id: str) -> None:
        """Mark a receipt as decided by a person."""
        await self._connection.execute("update audit set superseded = true where ack_id = $1", ack_id)
