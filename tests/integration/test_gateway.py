"""The gateway: keys, roles, limits, and what operators reach through it."""

import asyncio
import time

import aiohttp
import msgspec
import pytest

from ironclaw_api_gateway.limits import RateLimiter
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.chain import verify_lines
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.endpoints.integration import IntegrationRequest
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import OrderPhase, Role, Service
from ironclaw_contracts.errors import Forbidden, NotFound, RateLimited, Unauthenticated, Unavailable
from ironclaw_contracts.events import Event
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from tests.support.fleet import FleetUnderTest


def as_key(fleet: FleetUnderTest, secret: str) -> ServiceClient:
    return ServiceClient(KeyCredentials(secret), GatewayAddress(fleet.url))


async def test_given_a_users_key_when_used_then_work_is_allowed_and_operation_is_not(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        made = await operator.call(api.CREATE_KEY, KeyRequest(name="bob"))
        assert made.key.role is Role.USER and made.secret.startswith(f"ick_{made.key.key_id}_")
        async with as_key(fleet, made.secret) as user:
            answer = await user.call(api.CHAT, api.ChatRequest(message="Draft for Bob"))
            assert (await user.call(api.GET_RUN, run_id=answer.run_id)).run.user_id == "bob"
            assert (await user.call(api.WHY_RUN, run_id=answer.run_id)).terminal
            for endpoint in (api.LIST_EVENTS, api.FLEET, api.LIST_KEYS, api.VERIFY_CHAIN, api.PATROL):
                with pytest.raises(Forbidden):
                    await user.call(endpoint)
        keys = (await operator.call(api.LIST_KEYS)).keys
        assert made.key in keys and made.secret not in msgspec.json.encode(keys).decode()
        revoked = await operator.call(api.REVOKE_KEY, key_id=made.key.key_id)
        assert revoked.revoked_at is not None
        with pytest.raises(NotFound):
            await operator.call(api.REVOKE_KEY, key_id="nokey")
    await asyncio.sleep(2.1)
    async with as_key(fleet, made.secret) as user:
        with pytest.raises(Unauthenticated, match="revoked"):
            await user.call(api.LIST_RUNS)


async def test_given_a_small_bucket_when_emptied_then_429_says_when_to_come_back(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        request = KeyRequest(name="hasty", rate_per_minute=30, burst=3)
        made = await operator.call(api.CREATE_KEY, request)
    async with as_key(fleet, made.secret) as user:
        calls = [user.call(api.LIST_THEATERS) for _ in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [o for o in outcomes if isinstance(o, RateLimited)]
        assert len(outcomes) - len(refused) == 3
        assert all(o.retry_after_seconds is not None and 1 <= o.retry_after_seconds <= 12 for o in refused)


async def test_given_64_racing_takers_when_a_bucket_holds_10_then_exactly_10_pass(valkey_url: str) -> None:
    limiter = RateLimiter(valkey_url)
    key = f"race-{time.time_ns()}"
    outcomes = await asyncio.gather(*(limiter.take(key, 1, 10) for _ in range(64)), return_exceptions=True)
    await limiter.aclose()
    assert sum(outcome is None for outcome in outcomes) == 10


async def test_given_no_valkey_when_a_token_is_taken_then_503_not_a_free_pass() -> None:
    limiter = RateLimiter("redis://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await limiter.take("key", 60, 10)
    with pytest.raises(Unavailable):
        await limiter.ping()
    await limiter.aclose()


async def test_given_an_operator_when_the_fleet_is_operated_through_the_gateway_then_every_tool_answers(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        answer = await operator.call(api.CHAT, api.ChatRequest(message="Draft a rule"))
        order = (await operator.call(api.GET_RUN, run_id=answer.run_id)).orders[0]
        assert {service.service for service in (await operator.call(api.FLEET)).services} >= {
            "ledger",
            "vault",
        }
        request = IntegrationRequest(theater_id=order.theater_id, order_id=order.order_id)
        assert (await operator.call(api.INTEGRATE, request)).phase is OrderPhase.INTEGRATED
        assert (await operator.call(api.PATROL)).figures["failed_interventions"] == 0
        patrol = await operator.call(api.PATROL_THEATER, theater_id=order.theater_id)
        again = await operator.call(api.PATROL_THEATER, theater_id=order.theater_id)
        assert [finding.event for finding in again.findings] == [None] * len(again.findings)
        assert patrol.theater_id == order.theater_id
        lines = [line async for line in operator.lines(api.EXPORT)]
        assert verify_lines(lines).ok
        assert (await operator.call(api.LIST_EVENTS, query=EventsQuery(limit=1))).events[0].seq == 1
        head = (await operator.call(api.GET_CHAIN)).head_seq
        newest = await operator.call(api.LIST_EVENTS, query=EventsQuery(before=head + 1, limit=2))
        assert [event.seq for event in newest.events] == [head, head - 1] and newest.next_after == head - 1
        diff = await operator.call(api.GET_DIFF, order_id=order.order_id)
        assert order.artifacts[0].path in diff.paths and not diff.truncated


async def test_given_the_ledgers_stream_when_followed_and_resumed_by_its_last_id_then_nothing_is_missed(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.as_service(Service.OBSERVER) as client, fleet.client() as operator:
        head = (await client.call(ledger.GET_CHAIN)).head_seq
        await operator.call(api.CHAT, api.ChatRequest(message="Draft a stream"))
        seen: list[int] = []
        query = ledger.StreamQuery(after=head, types="RUN_CREATED,INTEGRATED,RUN_COMPLETED")
        async for line in client.lines(ledger.STREAM_EVENTS, query):
            if line.startswith(b"data:"):
                seen.append(msgspec.json.decode(line[5:], type=Event).seq)
                if len(seen) == 3:
                    break
        token = client._credentials.token_for(Service.LEDGER)
        url = f"http://127.0.0.1:{fleet.port_base + 2}/events/stream"
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(seen[0])}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            async for line in response.content:
                if line.startswith(b"id:"):
                    assert int(line[3:]) == seen[0] + 1
                    break
