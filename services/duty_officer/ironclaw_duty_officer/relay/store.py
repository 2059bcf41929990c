"""The outbox of intents. The only place with SQL."""

from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ironclaw_chassis.database import available, close_pool, open_pool
from ironclaw_contracts.endpoints.duty_officer_relay import RelayedIntent
from ironclaw_contracts.poi.messages import Announcement
from ironclaw_contracts.poi.receipts import Receipt

_ANSWER_SECONDS = 5.0
_PUT = """
insert into intents (intent_id, version, hash, plan_version, message) values ($1, $2, $3, $4, $5)
on conflict (intent_id, version) do nothing
"""
_NEWEST = "select * from intents where intent_id = $1 order by version desc limit 1"
# A version links to the one before it, so it waits until that one is answered.
_DUE = """
select * from intents i where status in ('waiting', 'needs_review') and due_at <= now() and not exists (
    select from intents before where before.intent_id = i.intent_id and before.version < i.version
        and before.status = 'waiting')
order by created_at limit $1
"""
_SETTLE = """
update intents set status = $3, receipt = $4, due_at = now() + $5 where intent_id = $1 and version = $2
"""


class Waiting(Struct, frozen=True):
    """An intent without its final answer."""

    intent_id: str
    version: int
    message: dict[str, Any]


class IntentOutbox:
    """Keeps intents until they are answered; every failure of the database is `Unavailable`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size_max: int) -> "IntentOutbox":
        """Open the pool."""
        async with available("the duty officer's database"):
            return cls(await open_pool(url, size_max=size_max))

    async def close(self) -> None:
        """Close the pool."""
        await close_pool(self._pool)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or its tables are not there."""
        await self._fetch("select 1 from intents limit 1")

    async def put(self, announcement: Announcement) -> None:
        """Keep an announced intent; one of the same version stays as it is."""
        plan_version = announcement.intent["parameters"].get("plan_version")
        await self._fetch(
            _PUT,
            announcement.intent_id,
            announcement.version,
            announcement.hash,
            plan_version if isinstance(plan_version, int) else None,
            msgspec.json.encode(announcement.raw).decode(),
        )

    async def newest(self, intent_id: str) -> RelayedIntent | None:
        """Return the newest version of an intent."""
        rows = await self._fetch(_NEWEST, intent_id)
        return _relayed(rows[0]) if rows else None

    async def due(self, limit: int) -> list[Waiting]:
        """Return intents to be sent now, the oldest first."""
        return [
            Waiting(row["intent_id"], row["version"], msgspec.json.decode(row["message"]))
            for row in await self._fetch(_DUE, limit)
        ]

    async def settle(self, waiting: Waiting, receipt: Receipt, again_in_seconds: float) -> None:
        """Keep an answer; one that needs a review is asked for again after a while."""
        await self._fetch(
            _SETTLE,
            waiting.intent_id,
            waiting.version,
            receipt.ack.status,
            msgspec.json.encode(receipt).decode(),
            timedelta(seconds=again_in_seconds),
        )

    async def count_waiting(self) -> int:
        """Return how many intents have no answer yet."""
        return (await self._fetch("select count(*) from intents where status = 'waiting'"))[0]["count"]

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with (
            available("the duty officer's database"),
            self._pool.acquire(timeout=_ANSWER_SECONDS) as connection,
        ):
            return await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS)


def _relayed(row: Any) -> RelayedIntent:
    receipt = row["receipt"]
    return RelayedIntent(
        intent_id=row["intent_id"],
        version=row["version"],
        intent_hash=row["hash"],
        plan_version=row["plan_version"],
        receipt=msgspec.json.decode(receipt, type=Receipt) if receipt is not None else None,
    )
