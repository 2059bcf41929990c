"""The gateway's tables: API keys, and the console's sessions. The only place with SQL."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from msgspec import Struct

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.access import ApiKey, KeyRequest
from ironclaw_contracts.enums import Role
from ironclaw_contracts.spending import Ceiling

_ANSWER_SECONDS = 2.0


class StoredKey(Struct, frozen=True):
    """A key with the digest of its secret."""

    key: ApiKey
    digest: bytes


def _available() -> AbstractAsyncContextManager[None]:
    return available("the gateway's database")


class Store:
    """Reads and writes keys and sessions."""

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
        """Raise `Unavailable` when the database or the table is not there."""
        await self._fetchrow("select 1 from api_keys limit 1")

    async def get(self, key_id: str) -> StoredKey | None:
        """Return a key by its id."""
        row = await self._fetchrow("select * from api_keys where key_id = $1", key_id)
        return _stored(row) if row else None

    async def listed(self) -> list[ApiKey]:
        """Return all keys, newest first."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                "select * from api_keys order by created_at desc", timeout=_ANSWER_SECONDS
            )
        return [_stored(row).key for row in rows]

    async def put(self, key_id: str, request: KeyRequest, digest: bytes) -> ApiKey:
        """Store a key; one of the same id gets the new digest and rights.

        What was revoked stays revoked unless the secret is another one.
        """
        row = await self._fetchrow(
            "insert into api_keys"
            " (key_id, name, role, digest, rate_per_minute, burst, spend_tokens, spend_usd)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8)"
            " on conflict (key_id) do update set name = excluded.name, role = excluded.role,"
            " digest = excluded.digest, rate_per_minute = excluded.rate_per_minute, burst = excluded.burst,"
            " spend_tokens = excluded.spend_tokens, spend_usd = excluded.spend_usd,"
            " revoked_at = case when api_keys.digest = excluded.digest then api_keys.revoked_at end"
            " returning *",
            key_id,
            request.name,
            request.role.value,
            digest,
            request.rate_per_minute,
            request.burst,
            request.spend.tokens,
            request.spend.usd,
        )
        return _stored(row).key

    async def revoke(self, key_id: str) -> ApiKey | None:
        """Revoke a key, once."""
        row = await self._fetchrow(
            "update api_keys set revoked_at = coalesce(revoked_at, now()) where key_id = $1 returning *",
            key_id,
        )
        return _stored(row).key if row else None

    async def open_session(self, digest: bytes, key_id: str, lifetime: timedelta) -> None:
        """Store a session of a key, and forget those that have run out."""
        async with self._connection() as connection:
            await connection.execute(
                "delete from console_sessions where expires_at < now()", timeout=_ANSWER_SECONDS
            )
            await connection.execute(
                "insert into console_sessions (digest, key_id, expires_at) values ($1, $2, now() + $3)",
                *(digest, key_id, lifetime),
                timeout=_ANSWER_SECONDS,
            )

    async def session_key(self, digest: bytes) -> ApiKey | None:
        """Return the key of a session that has not run out and whose key is not revoked."""
        row = await self._fetchrow(
            "select k.* from console_sessions s join api_keys k using (key_id)"
            " where s.digest = $1 and s.expires_at > now() and k.revoked_at is null",
            digest,
        )
        return _stored(row).key if row else None

    async def close_session(self, digest: bytes) -> None:
        """Forget a session."""
        async with self._connection() as connection:
            await connection.execute(
                "delete from console_sessions where digest = $1", digest, timeout=_ANSWER_SECONDS
            )

    async def _fetchrow(self, sql: str, *values: Any) -> Any:
        async with self._connection() as connection:
            return await connection.fetchrow(sql, *values, timeout=_ANSWER_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any]:
        """Lend a connection. Waiting for it, for an answer and for its return are each bounded."""
        async with _available(), self._pool.acquire(timeout=_ANSWER_SECONDS) as connection:
            yield connection


def _stored(row: Any) -> StoredKey:
    key = ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        role=Role(row["role"]),
        rate_per_minute=row["rate_per_minute"],
        burst=row["burst"],
        spend=Ceiling(tokens=row["spend_tokens"], usd=row["spend_usd"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
    return StoredKey(key=key, digest=row["digest"])
