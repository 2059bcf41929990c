"""Neighbours that are away or hang: a 503 that says when to come back, in bounded time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import pytest

from ironclaw_api_gateway.store import Store
from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Unavailable
from tests.integration.api_gateway.conftest import OPERATOR, Site

BOUND_SECONDS = 10.0


class StallingProxy:
    """Passes bytes on to a server, until it is told to hold them: what a hanging network looks like."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.flowing = asyncio.Event()
        self.flowing.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Listen while the context is open, on the port that it gives."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._tasks |= {
            asyncio.create_task(self._pass(reader, back)),
            asyncio.create_task(self._pass(there, writer)),
        }

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self.flowing.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


async def test_given_a_database_that_hangs_when_keys_are_read_then_503_in_time_and_it_recovers(
    site: Site,
) -> None:
    parts = urlsplit(site.database_url)
    assert parts.hostname is not None and parts.port is not None
    proxy = StallingProxy(parts.hostname, parts.port)
    async with proxy.running() as port:
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{port}"
        store = await Store.open(urlunsplit(parts._replace(netloc=netloc)), 2)
        try:
            await store.put("key1", KeyRequest("ann"), b"d" * 32)
            proxy.flowing.clear()
            async with asyncio.timeout(BOUND_SECONDS):
                asked = [store.get("key1") for _ in range(6)]  # more than there are connections
                outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(outcome, Unavailable) for outcome in outcomes), outcomes
            proxy.flowing.set()
            async with asyncio.timeout(BOUND_SECONDS):
                assert (await store.get("key1")) is not None
        finally:
            proxy.flowing.set()
            await store.close()


async def test_given_no_other_service_when_each_endpoint_is_called_then_503_with_retry_after(
    site: Site,
) -> None:
    own = {api.CREATE_KEY, api.LIST_KEYS, api.REVOKE_KEY, api.FLEET}
    bodies = {
        api.CHAT: b'{"message": "x"}',
        api.CANCEL_RUN: b"{}",
        api.ACK_ESCALATION: b"{}",
        api.RESTORE_SALVAGE: b"{}",
        api.REDELIVER_MILESTONES: b"{}",
        api.RETIRE_KEY: b'{"key_version": "v1"}',
        api.DECIDE_REVIEW: b'{"decision": "accepted"}',
        api.REGISTER_NODE: b'{"node_id": "7b9e2b8a-5a1f-4c9e-9f64-0c8f2f6b1a01", "role": "Judge",'
        b' "public_key_ref": "did:key:z"}',
        api.EMIT_MILESTONE: b'{"scope": "s", "claim": "c"}',
        api.OPEN_THEATER: b'{"theater_id": "t"}',
        api.DECIDE: b'{"approved": true}',
        api.GIVE_FEEDBACK: b'{"verdict": "accept"}',
        api.REPLAY_RUN: b'{"profile": "p"}',
        api.PROMOTE_POLICY: b'{"version": 1}',
        api.ROLL_BACK_POLICY: b"{}",
        api.PROMOTE_SKILL: b'{"proposal_id": "p"}',
        api.ROLL_BACK_SKILL: b'{"proposal_id": "p"}',
        api.INTEGRATE: b'{"theater_id": "t", "order_id": "o"}',
    }
    async with site.gateway(), aiohttp.ClientSession() as session:

        async def ask(endpoint: object) -> tuple[str, int, bool, str]:
            assert isinstance(endpoint, Endpoint)
            path = endpoint.path.format(**dict.fromkeys(endpoint.parameters, "x"))
            query = "?path=a.md" if endpoint is api.GET_ARTIFACT else ""
            async with session.request(
                endpoint.method,
                site.url + path + query,
                data=bodies.get(endpoint),
                headers={"Authorization": f"Bearer {OPERATOR}"},
            ) as response:
                retry_after = response.headers.get("Retry-After", "")
                code = (await response.json())["error"]["code"]
                return endpoint.name, response.status, retry_after.isdecimal(), code

        answers = await asyncio.gather(*(ask(endpoint) for endpoint in api.ENDPOINTS if endpoint not in own))
    assert {answer[0]: answer[1:] for answer in answers} == {
        answer[0]: (503, True, "UNAVAILABLE") for answer in answers
    }
    assert len(answers) == len(api.ENDPOINTS) - len(own)


async def test_given_a_fleet_of_which_only_the_ledger_stands_when_asked_then_each_service_is_told_apart(
    site: Site, ledger_url: str
) -> None:
    async with site.ledger(ledger_url), site.gateway(), site.client() as operator:
        async with asyncio.timeout(BOUND_SECONDS):
            found = {s.service: s for s in (await operator.call(api.FLEET)).services}
    assert set(found) == {service.value for service in ALL if service is not Service.API_GATEWAY}
    assert {name for name, status in found.items() if status.ready} == {"ledger"}
    assert all(status.detail for status in found.values())


async def test_given_a_key_that_was_seen_when_the_database_is_away_then_its_cache_time_is_not_stretched(
    site: Site,
) -> None:
    from ironclaw_api_gateway.limits import RateLimiter
    from ironclaw_api_gateway.people import People

    store, limiter = await Store.open(site.database_url, 1), RateLimiter(site.redis_url)
    people = People(store, limiter, 0.3)
    try:
        made = await people.create(KeyRequest("ann"))
        header = f"Bearer {made.secret}"
        assert (await people.authenticate(header)).name == "ann"
        await store.close()
        assert (await people.authenticate(header)).name == "ann"
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable):
            await people.authenticate(header)
    finally:
        await limiter.aclose()
