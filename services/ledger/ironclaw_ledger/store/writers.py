"""The connections that append and listen: apart from those of reads, which never take them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from ironclaw_chassis.database import close_pool, open_pool

_ACQUIRE_SECONDS = 5
_WRITER_CONNECTIONS = 2  # the appender's and the listener's: reads never take them
# Appends look rows up by key. A plan made while the tables were still small would go on scanning them whole.
_WRITER_SETTINGS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}


class Writers:
    """A pool, and the connection of the last append, which the next one takes again."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kept: Any = None
        self._closing = False

    @classmethod
    async def open(cls, url: str) -> "Writers":
        """Open the pool."""
        return cls(await open_pool(url, size_max=_WRITER_CONNECTIONS, settings=_WRITER_SETTINGS))

    async def close(self) -> None:
        """Close the pool."""
        self._closing = True
        if self._kept is not None:
            await self._pool.release(self._kept)
        await close_pool(self._pool)

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[Any]:
        """Hold a connection."""
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[Any]:
        """Hold a connection, and keep it for the next time: the pool lends it by two tasks."""
        connection, self._kept = self._kept, None
        if not _is_usable(connection):
            connection = await self._pool.acquire(timeout=_ACQUIRE_SECONDS)
        try:
            yield connection
        except BaseException:
            await self._pool.release(connection)
            raise
        if self._kept is None and not self._closing:
            self._kept = connection
        else:
            await self._pool.release(connection)


def _is_usable(connection: Any) -> bool:
    """Tell whether a connection that was kept is still there; the pool takes back one that broke."""
    try:
        return connection is not None and not connection.is_closed()
    except asyncpg.InterfaceError:
        return False
