"""The outbox and its cursor. The only place with SQL."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.outbox import Channel, Outgoing, OutgoingStatus

_ANSWER_SECONDS = 5.0
_INSERT = """
insert into outbox (idempotency_key, channel, at, record)
select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
on conflict (idempotency_key) do nothing
"""
_MOVE = """
insert into cursors (name, seq) values ($1, $2)
on conflict (name) do update set seq = greatest(cursors.seq, excluded.seq)
"""
_NEXT = """
select * from outbox where status in ('pending', 'retrying') order by at, idempotency_key limit 1
"""
_SETTLE = """
update outbox set status = $2, tries = $3, due_at = now() + $4, reason = $5,
       settled_at = case when $2 in ('pending', 'retrying') then null else now() end
where idempotency_key = $1 returning *
"""
_REVIVE = """
update outbox set status = 'pending', tries = 0, due_at = now(), settled_at = null
where status in ('dead-letter', 'rejected') and ($1::text is null or idempotency_key = $1) returning *
"""


def _available() -> AbstractAsyncContextManager[None]:
    return available("co's database")


class Outbox:
    """Keeps what is to be delivered; every failure of the database is `Unavailable`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size_max: int) -> "Outbox":
        """Open the pool."""
        async with _available():
            return cls(await open_pool(url, size_max=size_max))

    async def close(self) -> None:
        """Close the pool."""
        await close_pool(self._pool)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or its tables are not there."""
        await self._fetch("select 1 from outbox limit 1")

    async def undelivered(self) -> int:
        """Return how many records are still to be delivered."""
        rows = await self._fetch("select count(*) from outbox where status in ('pending', 'retrying')")
        return rows[0]["count"]

    async def cursor(self, name: str) -> int | None:
        """Return the seq that a cursor stands on; None when it was never moved."""
        rows = await self._fetch("select seq from cursors where name = $1", name)
        return rows[0]["seq"] if rows else None

    async def put(self, records: list[Outgoing], cursor: tuple[str, int] | None = None) -> None:
        """Add records, once each, and move the cursor past what they tell of, in one transaction."""
        async with (
            _available(),
            self._pool.acquire(timeout=_ANSWER_SECONDS) as connection,
            connection.transaction(),
        ):
            await connection.execute(
                _INSERT,
                [r.idempotency_key for r in records],
                [r.channel for r in records],
                [r.at for r in records],
                [r.record for r in records],
            )
            if cursor is not None:
                await connection.execute(_MOVE, *cursor)

    async def next(self) -> Outgoing | None:
        """Return the oldest record that is not settled, by its own time: nothing overtakes it."""
        rows = await self._fetch(_NEXT)
        return _outgoing(rows[0]) if rows else None

    async def settle(
        self, key: str, status: OutgoingStatus, tries: int, pause_seconds: float, reason: str | None
    ) -> None:
        """Record how a delivery went."""
        await self._fetch(_SETTLE, key, status, tries, timedelta(seconds=pause_seconds), reason)

    async def listed(self, status: str | None, limit: int) -> list[Outgoing]:
        """Return records, newest first."""
        rows = await self._fetch(
            "select * from outbox where $1::text is null or status = $1 order by created_at desc limit $2",
            status,
            limit,
        )
        return [_outgoing(row) for row in rows]

    async def revive(self, key: str | None) -> list[Outgoing]:
        """Have dead letters and rejected records delivered again: one, or all."""
        return [_outgoing(row) for row in await self._fetch(_REVIVE, key)]

    async def forget(self, before: datetime) -> None:
        """Drop what was delivered before a time."""
        await self._fetch(
            "delete from outbox where settled_at < $1 and status in ('delivered', 'duplicate')", before
        )

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with _available(), self._pool.acquire(timeout=_ANSWER_SECONDS) as connection:
            return await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS)


def _outgoing(row: Any) -> Outgoing:
    channel: Channel = row["channel"]
    return Outgoing(
        idempotency_key=row["idempotency_key"],
        channel=channel,
        at=row["at"],
        record=row["record"],
        status=row["status"],
        tries=row["tries"],
        due_at=row["due_at"],
        reason=row["reason"],
        created_at=row["created_at"],
    )
