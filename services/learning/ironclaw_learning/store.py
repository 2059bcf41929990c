"""What was learned, with its cursor, and other cursors. The only place with SQL."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from ironclaw_chassis.database import available, close_pool, open_pool

_ANSWER_SECONDS = 10.0
# A replica that is behind must not take back what another one has stored.
_SAVE = """
insert into learned (form, seq, state) values ($1, $2, $3)
on conflict (form) do update set seq = excluded.seq, state = excluded.state
where learned.seq <= excluded.seq
"""
_MOVE = """
insert into cursors (name, position) values ($1, $2)
on conflict (name) do update set position = excluded.position
"""


class Store:
    """One row a form; every failure of the database is `Unavailable`."""

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

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or its table is not there."""
        await self._fetch("select 1 from learned limit 1")

    async def load(self, form: int) -> str | None:
        """Return what was stored under a form; None when nothing was."""
        rows = await self._fetch("select state from learned where form = $1", form)
        return rows[0]["state"] if rows else None

    async def save(self, form: int, seq: int, state: str) -> None:
        """Store what is remembered as of an event."""
        await self._fetch(_SAVE, form, seq, state)

    async def position(self, name: str) -> int:
        """Return how far a file was read, 0 at the beginning."""
        rows = await self._fetch("select position from cursors where name = $1", name)
        return rows[0]["position"] if rows else 0

    async def move(self, name: str, position: int) -> None:
        """Record how far a file was read."""
        await self._fetch(_MOVE, name, position)

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with _available(), self._pool.acquire(timeout=_ANSWER_SECONDS) as connection:
            return await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS)


def _available() -> AbstractAsyncContextManager[None]:
    return available("learning's database")
