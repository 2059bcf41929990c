"""Milestones, demand summaries and dead letters. The only place with SQL."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.demand import Snapshot
from ironclaw_contracts.milestones import Milestone

FEED_MAX = 50
DEAD_LETTERS_MAX = 100
_ANSWER_SECONDS = 5.0
_STREAM_MAX = 500
# One statement: a key is accepted exactly when its event is in the feed, whatever is killed in between. The
# second half sees the table as it was before, so it finds the keys that were known. The lock lasts until the
# commit: `seq` grows in the order of commits, across processes too, and followers never miss a row.
_ACCEPT_MILESTONES = """
with turn as materialized (
    select pg_advisory_xact_lock(hashtextextended('openclawdbot.milestones', 0))
), new as (
    insert into milestones (key_digest, idempotency_key, milestone_id, at, event)
    select given.* from turn,
        unnest($1::bytea[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]) as given
    on conflict (key_digest) do nothing returning key_digest, milestone_id
)
select key_digest, milestone_id, true as accepted from new
union all
select key_digest, milestone_id, false from milestones where key_digest = any($1)
"""
_ACCEPT_DEMAND = """
with new as (
    insert into demand_keys (key_digest, summary_id) values ($1, $2)
    on conflict (key_digest) do nothing returning summary_id
), latest as (
    insert into demand_latest (at, snapshot) select $3::timestamptz, $4::text from new
    on conflict (only_row) do update set at = excluded.at, snapshot = excluded.snapshot
    where excluded.at > demand_latest.at
)
select summary_id, true as accepted from new
union all
select summary_id, false from demand_keys where key_digest = $1
"""
_SELECT_LIVE = "select seq, idempotency_key, event from milestones where seq > $1 order by seq limit $2"
_SELECT_OLDEST_SHOWN = """
select seq from (select seq from milestones order by seq desc limit $1) as newest order by seq limit 1
"""


class Live(Struct, frozen=True):
    """One milestone of the live channel."""

    seq: int
    idempotency_key: str
    event: str


class DeadLetter(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A rejected delivery."""

    timestamp_utc: str
    reason: str
    idempotency_key: str | None = None


class Store:
    """Reads and writes; every failure of the database is `Unavailable`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size_max: int) -> "Store":
        """Open the pool."""
        async with _available():
            return cls(await open_pool(url, size_max=size_max))

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool, which the validator's store shares."""
        return self._pool

    async def close(self) -> None:
        """Close the pool."""
        await close_pool(self._pool)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or its tables are not there."""
        await self._fetch("select 1 from milestones limit 1")

    async def accept_milestones(self, records: list[tuple[str, Milestone]]) -> list[tuple[bool, str]]:
        """Take milestones in; return of each whether it is new, and the id of the one under its key.

        Of several with one key the first is new. What another process stored at the same moment is found at
        the next try.
        """
        stored: dict[bytes, tuple[bool, str]] = {}
        digests = [digest(key) for key, _ in records]
        while missing := [n for n, key_digest in enumerate(digests) if key_digest not in stored]:
            rows = await self._fetch(
                _ACCEPT_MILESTONES,
                [digests[n] for n in missing],
                [records[n][0] for n in missing],
                [records[n][1].milestone_id for n in missing],
                [records[n][1].at for n in missing],
                [msgspec.json.encode(records[n][1]).decode() for n in missing],
            )
            stored |= {row["key_digest"]: (row["accepted"], row["milestone_id"]) for row in rows}
        answers: list[tuple[bool, str]] = []
        for key_digest in digests:
            new, milestone_id = stored[key_digest]
            answers.append((new, milestone_id))
            stored[key_digest] = (False, milestone_id)
        return answers

    async def accept_demand(self, key: str, snapshot: Snapshot) -> tuple[bool, str]:
        """Take a summary in; return whether it is new, and the id of the one stored under the key."""
        text = msgspec.json.encode(snapshot).decode()
        values = (digest(key), snapshot.summary_id, snapshot.at, text)
        # Who lost a race sees the winner's row a moment later.
        while not (rows := await self._fetch(_ACCEPT_DEMAND, *values)):
            continue
        return rows[0]["accepted"], rows[0]["summary_id"]

    async def feed(self, limit: int) -> list[Milestone]:
        """Return the newest milestones by their own time."""
        rows = await self._fetch(
            "select event from milestones order by at desc, seq desc limit $1", min(limit, FEED_MAX)
        )
        return [msgspec.json.decode(row["event"], type=Milestone) for row in rows]

    async def accepted_at(self) -> datetime | None:
        """Return when the last milestone was accepted."""
        rows = await self._fetch("select received_at from milestones order by seq desc limit 1")
        return rows[0]["received_at"] if rows else None

    async def snapshot(self) -> Snapshot | None:
        """Return the newest demand summary."""
        rows = await self._fetch("select snapshot from demand_latest")
        return msgspec.json.decode(rows[0]["snapshot"], type=Snapshot) if rows else None

    async def bury(self, channel: str, reason: str, key: str | None) -> None:
        """Record a rejected delivery."""
        await self._fetch(
            "insert into dead_letters (channel, reason, idempotency_key) values ($1, $2, $3)",
            channel,
            reason,
            key,
        )

    async def dead_letters(self, channel: str) -> list[tuple[datetime, str, str | None]]:
        """Return rejected deliveries, newest first."""
        rows = await self._fetch(
            "select at, reason, idempotency_key from dead_letters where channel = $1"
            " order by id desc limit $2",
            channel,
            DEAD_LETTERS_MAX,
        )
        return [(row["at"], row["reason"], row["idempotency_key"]) for row in rows]

    async def live_after(self, seq: int) -> list[Live]:
        """Return milestones after a place in the live channel, in the order in which they were accepted."""
        rows = await self._fetch(_SELECT_LIVE, seq, _STREAM_MAX)
        return [Live(row["seq"], row["idempotency_key"], row["event"]) for row in rows]

    async def live_place(self, key: str) -> int:
        """Return the place of a key in the live channel; before the newest 50 for one that is not known.

        A follower that names a key of elsewhere then hears something twice rather than misses it.
        """
        rows = await self._fetch("select seq from milestones where key_digest = $1", digest(key))
        if rows:
            return rows[0]["seq"]
        rows = await self._fetch(_SELECT_OLDEST_SHOWN, FEED_MAX)
        return rows[0]["seq"] - 1 if rows else 0

    async def live_end(self) -> int:
        """Return the end of the live channel now."""
        rows = await self._fetch("select seq from milestones order by seq desc limit 1")
        return rows[0]["seq"] if rows else 0

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with self._connection() as connection:
            return await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any]:
        async with _available(), self._pool.acquire(timeout=_ANSWER_SECONDS) as connection:
            yield connection


def digest(key: str) -> bytes:
    """Return what stands for an idempotency key in the index."""
    return hashlib.sha256(key.encode("utf-8")).digest()


def _available() -> AbstractAsyncContextManager[None]:
    return available("openclawdbot's database")
