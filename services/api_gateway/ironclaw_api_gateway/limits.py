"""Rate limits: a token bucket for each key, taken from by one atomic script in Valkey."""

import math
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from ironclaw_contracts.errors import RateLimited, Unavailable

_SCRIPT = (files("ironclaw_api_gateway") / "limits.lua").read_text(encoding="utf-8")
_PREFIX = "ironclaw:limit:"
_CONNECTIONS_MAX = 32
_ANSWER_SECONDS = 2


class RateLimiter:
    """Takes one token a call. Without Valkey nobody passes: a limit that cannot be kept is no limit."""

    def __init__(self, redis_url: str) -> None:
        # A pool that does not block refuses the 33rd caller at once, as if Valkey were away.
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=_CONNECTIONS_MAX,
            timeout=_ANSWER_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._take = self._redis.register_script(_SCRIPT)

    async def take(self, key_id: str, rate_per_minute: int, burst: int) -> None:
        """Take a token. Raises `RateLimited` with the seconds to wait, or `Unavailable`."""
        try:
            answer = await self._take(keys=[_PREFIX + key_id], args=[rate_per_minute / 60, burst])
        except (RedisError, OSError) as error:
            raise Unavailable(f"rate limits cannot be kept: {type(error).__name__}") from error
        taken, wait_ms = cast("tuple[int, int]", answer)
        if not taken:
            seconds = max(1, math.ceil(wait_ms / 1000))
            raise RateLimited(
                f"the key's rate of {rate_per_minute} calls a minute is spent; retry in {seconds} s",
                retry_after_seconds=seconds,
            )

    async def ping(self) -> None:
        """Raise `Unavailable` when Valkey does not answer."""
        try:
            await cast("Any", self._redis.ping())
        except (RedisError, OSError) as error:
            raise Unavailable(f"Valkey is away: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
