"""Rate limits on a real Valkey: atomic, shared by all gateways, never waived."""

import asyncio
import time

import aiohttp
import pytest
from redis.asyncio import Redis

from ironclaw_api_gateway.limits import RateLimiter
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.errors import RateLimited, Unavailable
from ironclaw_fleet.ports import free_port
from tests.integration.api_gateway.conftest import OPERATOR, Site


def fresh_key() -> str:
    return f"key-{time.time_ns()}"


async def test_given_two_gateways_racing_when_a_bucket_holds_10_then_10_pass_and_the_rest_are_limited(
    valkey_url: str,
) -> None:
    limiters, key = [RateLimiter(valkey_url) for _ in range(2)], fresh_key()
    takes = [limiters[n % 2].take(key, 1, 10) for n in range(80)]
    outcomes = await asyncio.gather(*takes, return_exceptions=True)
    for limiter in limiters:
        await limiter.aclose()
    assert sum(outcome is None for outcome in outcomes) == 10
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 70


async def test_given_a_valkey_that_hesitates_when_200_call_at_once_then_none_is_told_that_it_is_away(
    valkey_url: str,
) -> None:
    limiter, admin = RateLimiter(valkey_url), Redis.from_url(valkey_url)
    key = fresh_key()
    outcomes: list[BaseException | None] = []
    for _ in range(3):
        await admin.execute_command("CLIENT", "PAUSE", 150, "WRITE")  # connecting is no write
        takes = [limiter.take(key, 1, 1_000) for _ in range(200)]
        outcomes += await asyncio.gather(*takes, return_exceptions=True)
    await limiter.aclose()
    await admin.aclose()
    assert [outcome for outcome in outcomes if outcome is not None] == []


async def test_given_an_empty_bucket_when_waited_as_told_then_the_next_call_passes(valkey_url: str) -> None:
    limiter, key = RateLimiter(valkey_url), fresh_key()
    await limiter.take(key, 60, 1)
    with pytest.raises(RateLimited, match="60 calls a minute") as refused:
        await limiter.take(key, 60, 1)
    assert refused.value.retry_after_seconds == 1
    await asyncio.sleep(1.05)
    await limiter.take(key, 60, 1)
    await limiter.aclose()


async def test_given_a_key_that_rests_when_its_bucket_would_be_full_then_valkey_forgets_it(
    valkey_url: str,
) -> None:
    limiter, admin, key = RateLimiter(valkey_url), Redis.from_url(valkey_url), fresh_key()
    await limiter.take(key, 60, 5)
    left = await admin.ttl(f"ironclaw:limit:{key}")
    await limiter.aclose()
    await admin.aclose()
    assert 0 < left <= 6


async def test_given_a_valkey_that_lost_its_scripts_when_a_token_is_taken_then_it_is_taken(
    valkey_url: str,
) -> None:
    limiter, admin, key = RateLimiter(valkey_url), Redis.from_url(valkey_url), fresh_key()
    await limiter.take(key, 60, 2)
    await admin.script_flush()
    await limiter.take(key, 60, 2)
    with pytest.raises(RateLimited):
        await limiter.take(key, 60, 2)
    await limiter.aclose()
    await admin.aclose()


async def test_given_a_spent_key_when_the_gateway_is_called_then_429_with_retry_after(site: Site) -> None:
    async with site.gateway(), aiohttp.ClientSession() as session:
        made = await site.key("hasty", rate=6, burst=1)
        headers = {"Authorization": f"Bearer {made.secret}"}
        statuses: list[int] = []
        for _ in range(2):
            async with session.get(f"{site.url}/keys", headers=headers) as response:
                statuses.append(response.status)
                body, retry_after = await response.json(), response.headers.get("Retry-After")
        assert statuses == [403, 429]  # a call that may not be made costs a token, too
        assert body["error"]["code"] == "RATE_LIMITED" and retry_after is not None
        assert 1 <= int(retry_after) <= 10


async def test_given_no_valkey_when_the_gateway_is_called_then_503_with_retry_after_not_a_free_pass(
    site: Site,
) -> None:
    async with site.gateway(redis_url=Secret(f"redis://127.0.0.1:{free_port()}")):
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {OPERATOR}"}
            for path in ("/keys", "/ready"):
                async with session.get(site.url + path, headers=headers) as response:
                    assert response.status == 503
                    assert int(response.headers["Retry-After"]) >= 1
                    assert (await response.json())["error"]["code"] == "UNAVAILABLE"
        async with site.client() as operator:
            with pytest.raises(Unavailable, match="rate limits"):
                await operator.call(api.LIST_KEYS)
