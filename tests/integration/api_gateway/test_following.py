"""A run's events over server-sent events: resumed, ended with the run, bounded in number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from tests.integration.api_gateway.conftest import OPERATOR, Site

HEADERS = {"Authorization": f"Bearer {OPERATOR}"}


@pytest.fixture
async def standing(site: Site, ledger_url: str) -> AsyncIterator[Site]:
    """A site whose gateway allows three streams, with its ledger and an open run `run-1`."""
    async with site.ledger(ledger_url), site.gateway(streams_max=3):
        await append(site, E.RUN_CREATED, p.RunCreated(user_id="u", objective="x"))
        yield site


async def append(site: Site, kind: E, payload: p.Payload) -> None:
    async with site.service(Service.CO) as co:
        await LedgerClient(co).append(new_event(kind, payload, run_id="run-1", theater_id="t"))


@asynccontextmanager
async def stream(site: Site, query: str = "", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        url = f"{site.url}/runs/run-1/events{query}"
        async with session.get(url, headers={**HEADERS, **headers}) as response:
            yield response


async def kinds(response: aiohttp.ClientResponse) -> list[str]:
    """The event types until the stream ends by itself."""
    return [line[6:].decode().strip() async for line in response.content if line.startswith(b"event:")]


async def test_given_an_open_run_when_it_ends_then_the_stream_ends_with_its_last_event(
    standing: Site,
) -> None:
    async with stream(standing) as response:
        reading = asyncio.create_task(kinds(response))
        await append(standing, E.RUN_UPDATED, p.RunUpdated(cancel_requested="enough"))
        await append(standing, E.RUN_CANCELLED, p.RunEnded(reason="enough"))
        assert await reading == ["RUN_CREATED", "RUN_UPDATED", "RUN_CANCELLED"]
        assert response.headers["Content-Type"].startswith("text/event-stream")


async def test_given_an_ended_run_when_resumed_then_the_rest_comes_once_and_then_nothing(
    standing: Site,
) -> None:
    await append(standing, E.RUN_CANCELLED, p.RunEnded(reason="enough"))
    async with stream(standing) as response:
        assert await kinds(response) == ["RUN_CREATED", "RUN_CANCELLED"]
    async with stream(standing, "?after=1") as response:
        assert await kinds(response) == ["RUN_CANCELLED"]
    for resumed, rest in (("1", ["RUN_CANCELLED"]), ("0", ["RUN_CREATED", "RUN_CANCELLED"]), ("2", [])):
        async with stream(standing, "?after=2", **{"Last-Event-ID": resumed}) as response:
            assert await kinds(response) == rest


async def test_given_a_last_event_id_that_is_no_seq_when_sent_then_400_names_it(standing: Site) -> None:
    for value in ("x", "-1", "1.5", "9" * 30, "9" * 5_000, "٣", "1 OR 1"):
        async with stream(standing, **{"Last-Event-ID": value}) as response:
            assert response.status == 400, value
            assert "Last-Event-ID" in (await response.json())["error"]["message"], value


async def test_given_a_run_that_does_not_exist_when_followed_then_404_not_a_silent_stream(
    standing: Site,
) -> None:
    url = f"{standing.url}/runs/nobody/events"
    async with aiohttp.ClientSession() as session, session.get(url, headers=HEADERS) as response:
        assert response.status == 404


async def test_given_all_streams_taken_when_one_more_is_asked_for_then_503_until_they_are_closed(
    standing: Site,
) -> None:
    async with AsyncExitStack() as stack:
        taken = [await stack.enter_async_context(stream(standing)) for _ in range(3)]
        assert [response.status for response in taken] == [200, 200, 200]
        async with stream(standing) as response:
            assert response.status == 503 and int(response.headers["Retry-After"]) >= 1
    async with asyncio.timeout(10):
        while await _status(standing) != 200:
            await asyncio.sleep(0.05)


async def test_given_20_that_ask_in_the_same_instant_when_three_streams_are_allowed_then_three_are_given(
    standing: Site,
) -> None:
    async with AsyncExitStack() as stack:
        asks = [stack.enter_async_context(stream(standing)) for _ in range(20)]
        statuses = [response.status for response in await asyncio.gather(*asks)]
    assert sorted(statuses) == [200] * 3 + [503] * 17


async def _status(site: Site) -> int:
    async with stream(site) as response:
        return response.status
