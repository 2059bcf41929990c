"""Malformed requests on every route of every service: a clear 4xx, never a 5xx (TRUST rows 10 and 13)."""

import asyncio
import json
import random
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from ironclaw_chassis.identity import Identity
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import SERVICE_PORTS, Service
from tests.support.fleet import FleetUnderTest

pytestmark = pytest.mark.trust

BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b'{"a":',
    b"\xff\xfe\x00",
    b'{"message": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"message": "\\ud800"}',
    b'{"message": "a\\u0000b"}',
    b'{"payload": {"x": "\\u0000"}, "type": "PATROL_TICK"}',
    b'{"type": "PATROL_TICK", "payload": {"figures": {"a": NaN}}}',
    b'{"type": "PATROL_TICK", "payload": {"figures": {"a": 1e999}}}',
    b'{"type": "PATROL_TICK", "payload": {"figures": {"a": 99999999999999999999999999}}}',
    b'{"events": []}',
    b'{"events": [{}]}',
    b'{"message": 5}',
    b'{"message": "x", "deadline_seconds": -1}',
    b'{"message": "x", "theater_hint": "../../etc"}',
    b'{"message": "x", "run_id": "a/b"}',
    b'{"message": "x", "mode": "later"}',
    b'{"theater_id": "--upload-pack=touch", "repo_path": "-oProxyCommand=x"}',
    b'{"theater_id": "x", "repo_path": "/etc\\u0000"}',
    b"x" * 2_000_000,
]
IDS = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc",
    "a%00b",
    "abc%0a",
    "-option",
    "--upload-pack=x",
    ".git",
    "x" * 65,
    "%ff%fe",
    "a%20b",
    "%F0%9F%92%A5",
    "refs%2Fheads%2Fmain",
]
QUERIES = [
    "limit=-1",
    "limit=x",
    "after=99999999999999999999",
    "cursor=%00",
    "types=NONE",
    "path=../x",
    "at_seq=-1",
    "as_of=-1",
    "as_of=tomorrow",
    "as_of=2026-01-01T00:00:00Z%00",
]


def headers_for(fleet: FleetUnderTest, endpoint: Endpoint[Any, Any, Any]) -> dict[str, str]:
    """The credentials of a caller that the endpoint lets in."""
    if endpoint.service is Service.API_GATEWAY:
        return {"Authorization": f"Bearer {fleet.operator_key}"}
    callers = [caller for caller in sorted(endpoint.callers) if isinstance(caller, Service)]
    identity = Identity.load(Service(callers[0]) if callers else Service.CO, fleet.state.keys)
    return {"Authorization": f"Bearer {identity.token_for(endpoint.service)}"}


def base_url(fleet: FleetUnderTest, service: Service) -> str:
    return f"http://127.0.0.1:{fleet.port_base + SERVICE_PORTS[service] - SERVICE_PORTS[Service.API_GATEWAY]}"


async def check(response: aiohttp.ClientResponse, what: str) -> None:
    body = await response.read()
    assert response.status < 500, f"{what}: {response.status} {body[:300]!r}"
    if response.status >= 400:
        error = json.loads(body)
        if isinstance(error.get("error"), str):
            assert error["error"], what  # Appleseed's contract has no envelope
            return
        ours = error.get("error") or {"code": "FOREIGN", "message": error.get("reason")}
        assert error["ok"] is False and ours["code"] and ours["message"], what


@pytest.mark.parametrize("service", sorted(ALL))
async def test_given_hostile_bodies_ids_and_queries_when_sent_to_every_route_then_no_5xx(
    fleet: FleetUnderTest, service: Service
) -> None:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for endpoint in ALL[service]:
            if endpoint.form == "events":
                continue  # a stream that never ends; its queries are checked below
            url = base_url(fleet, service)
            headers = headers_for(fleet, endpoint)
            plain = url + endpoint.path.format(**dict.fromkeys(endpoint.parameters, "nobody"))
            if endpoint.body is not Nothing:
                for body in BODIES:
                    async with session.request(
                        endpoint.method, plain, data=body, headers=headers
                    ) as response:
                        await check(response, f"{endpoint.name} {body[:60]!r}")
            heavy = endpoint.timeout_seconds > 60 or endpoint.name in {"patrol", "revoke_key"}
            if endpoint.parameters:
                for bad in IDS:
                    path = endpoint.path.format(**dict.fromkeys(endpoint.parameters, bad))
                    async with session.request(
                        endpoint.method,
                        aiohttp.client.URL(url + path, encoded=True),
                        data=b"{}",
                        headers=headers,
                    ) as response:
                        await check(response, f"{endpoint.name} id {bad}")
                        assert response.status >= 400
            elif not heavy:
                for query in QUERIES:
                    target = aiohttp.client.URL(f"{plain}?{query}", encoded=True)
                    async with session.request(
                        endpoint.method, target, data=b"{}", headers=headers
                    ) as response:
                        await check(response, f"{endpoint.name} ?{query}")


async def test_given_random_bytes_when_sent_to_chat_then_each_is_answered_with_4xx(
    fleet: FleetUnderTest,
) -> None:
    chance = random.Random(7)
    headers = {"Authorization": f"Bearer {fleet.operator_key}"}
    async with aiohttp.ClientSession() as session:

        async def send(body: bytes) -> None:
            async with session.post(f"{fleet.url}/chat", data=body, headers=headers) as response:
                await check(response, repr(body[:60]))
                assert 400 <= response.status < 500

        for _ in range(10):
            bodies = [chance.randbytes(chance.randint(0, 200)) for _ in range(100)]
            await asyncio.gather(*(send(body) for body in bodies))


async def test_given_no_key_or_a_wrong_one_when_asked_then_401_and_a_body_too_large_413(
    fleet: FleetUnderTest,
) -> None:
    async with aiohttp.ClientSession() as session:
        for value in (
            "",
            "Bearer",
            "Bearer x",
            "Basic abc",
            f"Bearer ick_operator_{'x' * 43}",
            "Bearer \xff",
        ):
            async with session.get(f"{fleet.url}/runs", headers={"Authorization": value}) as response:
                assert response.status == 401, value
        headers = {"Authorization": f"Bearer {fleet.operator_key}"}
        large = b'{"message": "' + b"x" * 1_100_000 + b'"}'
        async with session.post(f"{fleet.url}/chat", data=large, headers=headers) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "TOO_LARGE"
        async with session.get(f"{fleet.url}/nowhere", headers=headers) as response:
            assert response.status == 404
        async with session.put(f"{fleet.url}/chat", data=b"{}", headers=headers) as response:
            assert response.status == 405


@pytest.mark.parametrize("service", [Service.API_GATEWAY, Service.LEDGER, Service.VAULT])
def test_given_generated_requests_when_sent_to_a_documented_service_then_no_5xx(
    fleet: FleetUnderTest, service: Service
) -> None:
    import requests

    url = base_url(fleet, service)
    schema = schemathesis.openapi.from_dict(requests.get(f"{url}/schema/openapi.json", timeout=10).json())
    endpoints = {endpoint.name: endpoint for endpoint in ALL[service]}
    for result in schema.get_all_operations():
        operation = result.ok()
        endpoint = endpoints.get(operation.definition.raw.get("operationId", ""))
        if (
            endpoint is None
            or endpoint.form != "json"
            or endpoint.timeout_seconds > 90
            or endpoint.name == "chat"
        ):
            continue
        headers = headers_for(fleet, endpoint)

        _answers(operation, url, headers)


def _answers(operation: Any, url: str, headers: dict[str, str]) -> None:
    """Send generated requests of one operation."""

    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        response = case.call(base_url=url, headers=headers, timeout=15)
        assert response.status_code < 500, (case.as_curl_command(), response.text[:500])

    answered()
