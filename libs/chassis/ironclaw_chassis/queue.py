"""The job queue: arq on Redis behind one small surface.

Redis is disposable (DESIGN): a job names an order whose snapshot and lease are the truth. Losing the queue
costs latency, since the duty officer enqueues again what was never claimed.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol, Self

import msgspec
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import in_progress_key_prefix
from msgspec import Struct
from redis.exceptions import RedisError

from ironclaw_chassis.tracing import current_traceparent, span
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.jobs import QUEUE_NAME, JobMessage

JOB_FUNCTION = "execute_order"
HINTS = f"{QUEUE_NAME}:hints"
"""A list with an element for each job queued of late, on which consumers wait. It says only: look now."""
_HINTS_MAX = 256

# arq pickles by default, which makes write access to Redis the execution of code; JSON does not.
serialize_job: Callable[[dict[str, Any]], bytes] = msgspec.json.encode
deserialize_job: Callable[[bytes], dict[str, Any]] = msgspec.json.decode


def redis_settings(url: str) -> RedisSettings:
    """Return arq's settings for a `redis://` URL; it gives up a connection attempt after two seconds."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 1
    settings.conn_timeout = 2
    return settings


class Backlog(Struct, frozen=True):
    """How many jobs no consumer has taken, and since how many seconds the oldest waits (0 without any)."""

    jobs: int
    oldest_seconds: float


class JobQueue(Protocol):
    """Where orders wait for a unit."""

    async def enqueue(self, job: JobMessage) -> bool:
        """Queue a job; False when the same attempt is queued already. Raises `Unavailable`."""
        ...

    async def waiting(self) -> set[str]:
        """Return the ids of the jobs that no consumer has taken yet. Raises `Unavailable`."""
        ...

    async def ping(self) -> None:
        """Raise `Unavailable` when the queue is away."""
        ...


class ArqQueue:
    """Jobs on Redis, in arq's own format, so that arq's workers take them."""

    def __init__(self, redis_url: str) -> None:
        self._settings = redis_settings(redis_url)
        self._pool: ArqRedis | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    async def enqueue(self, job: JobMessage) -> bool:
        """Queue a job under its id, with the trace that we are in."""
        try:
            with span("queue.publish", "producer", attributes={"messaging.destination.name": QUEUE_NAME}):
                sent = msgspec.structs.replace(job, traceparent=current_traceparent() or job.traceparent)
                pool = await self._connected()
                queued = await pool.enqueue_job(
                    JOB_FUNCTION, msgspec.to_builtins(sent), _job_id=job.job_id, _queue_name=QUEUE_NAME
                )
                if queued is not None:
                    async with pool.pipeline(transaction=False) as hint:
                        hint.lpush(HINTS, b"1")
                        hint.ltrim(HINTS, 0, _HINTS_MAX - 1)
                        await hint.execute()
        except (RedisError, OSError) as error:
            raise Unavailable(f"the queue is away: {type(error).__name__}") from error
        return queued is not None

    async def waiting(self) -> set[str]:
        """Return the queued jobs without arq's mark that a consumer has begun them."""
        return set(await self._untaken())

    async def backlog(self) -> Backlog:
        """Return how much waits. Raises `Unavailable`."""
        untaken = await self._untaken()
        oldest = time.time() - min(untaken.values()) if untaken else 0.0
        return Backlog(len(untaken), max(0.0, oldest))

    async def _untaken(self) -> dict[str, float]:
        """Return the jobs that no consumer has begun, and when each was queued (seconds since the epoch)."""
        try:
            pool = await self._connected()
            queued = [
                (raw.decode(), ms / 1000) for raw, ms in await pool.zrange(QUEUE_NAME, 0, -1, withscores=True)
            ]
            if not queued:
                return {}
            marks = await pool.mget([in_progress_key_prefix + job_id for job_id, _ in queued])
        except (RedisError, OSError) as error:
            raise Unavailable(f"the queue is away: {type(error).__name__}") from error
        return {job_id: at for (job_id, at), mark in zip(queued, marks, strict=True) if mark is None}

    async def ping(self) -> None:
        """Raise `Unavailable` when Redis does not answer."""
        try:
            await (await self._connected()).ping()
        except (RedisError, OSError) as error:
            raise Unavailable(f"the queue is away: {type(error).__name__}") from error

    async def _connected(self) -> ArqRedis:
        if self._pool is None:
            self._pool = await create_pool(
                self._settings, job_serializer=serialize_job, job_deserializer=deserialize_job
            )
        return self._pool
