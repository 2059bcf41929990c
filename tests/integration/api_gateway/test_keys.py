"""Who may pass the gateway: keys, roles, revocation, the first operator."""

import asyncio
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from ironclaw_api_gateway.limits import RateLimiter
from ironclaw_api_gateway.people import People
from ironclaw_api_gateway.store import Store
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Role
from ironclaw_contracts.errors import BadRequest, Forbidden, NotFound, Unauthenticated
from tests.integration.api_gateway.conftest import OPERATOR, Site

CACHE_SECONDS = 2.0


async def test_given_no_key_or_a_wrong_one_when_asked_then_401_tells_nothing_of_which_keys_exist(
    site: Site,
) -> None:
    async with site.gateway(), aiohttp.ClientSession() as session:
        said: set[str] = set()
        for value in (OPERATOR[:-1] + "x", "ick_nobody_" + "o" * 43):
            headers = {"Authorization": f"Bearer {value}"}
            async with session.get(f"{site.url}/keys", headers=headers) as response:
                assert response.status == 401
                error = (await response.json())["error"]
                assert error["code"] == "UNAUTHENTICATED" and "ironclaw keys create" in error["message"]
                said.add(error["message"])
        assert len(said) == 1
        for value in (
            "",
            "Bearer",
            "Basic abc",
            f"Bearer {OPERATOR}x",
            "Bearer ick_operator_",
            "Bearer \xff",
        ):
            async with session.get(f"{site.url}/keys", headers={"Authorization": value}) as response:
                assert response.status == 401, value
        for path in ("/health", "/ready"):
            async with session.get(f"{site.url}{path}") as response:
                assert response.status == 200


async def test_given_a_users_key_when_operators_endpoints_are_called_then_403(site: Site) -> None:
    async with site.gateway():
        made = await site.key("ann")
        async with site.client(made.secret) as user:
            for endpoint in api.ENDPOINTS:
                if Role.USER not in endpoint.callers and endpoint.form == "json" and not endpoint.parameters:
                    body = {
                        api.CREATE_KEY: KeyRequest("mallory", Role.OPERATOR),
                    }.get(endpoint)
                    with pytest.raises(Forbidden, match=endpoint.name):
                        await user.call(endpoint, body)
        async with site.client() as operator:
            assert {key.name for key in (await operator.call(api.LIST_KEYS)).keys} == {"operator", "ann"}


async def test_given_a_new_key_when_the_table_is_read_then_its_secret_is_not_in_it(site: Site) -> None:
    async with site.gateway():
        made = await site.key("ann")
    connection = await asyncpg.connect(site.database_url)
    try:
        rows = await connection.fetch("select to_jsonb(api_keys)::text as row, digest from api_keys")
    finally:
        await connection.close()
    random_part = made.secret.split("_", 2)[2]  # it may hold a "_" of its own
    assert len(rows) == 2 and all(len(row["digest"]) == 32 for row in rows)
    assert all(random_part not in row["row"] and random_part.encode().hex() not in row["row"] for row in rows)


async def test_given_a_bad_request_for_a_key_when_sent_then_400_names_the_field(site: Site) -> None:
    async with site.gateway(), site.client() as operator:
        for request, field in (
            (KeyRequest("no spaces"), "name"),
            (KeyRequest("a", Role.USER, 0), "rate_per_minute"),
            (KeyRequest("a", Role.USER, 1, 2_000_000), "burst"),
        ):
            with pytest.raises(BadRequest, match=field):
                await operator.call(api.CREATE_KEY, request)
        with pytest.raises(BadRequest):
            await operator.call(api.REVOKE_KEY, key_id="a b")
        with pytest.raises(NotFound):
            await operator.call(api.REVOKE_KEY, key_id="nobody")


async def test_given_two_gateways_when_one_revokes_a_key_then_the_other_refuses_it_within_its_cache_time(
    site: Site,
) -> None:
    store, limiter = await Store.open(site.database_url, 2), RateLimiter(site.redis_url)
    here, there = (People(store, limiter, CACHE_SECONDS) for _ in range(2))
    try:
        made = await here.create(KeyRequest("ann"))
        header = f"Bearer {made.secret}"
        assert (await there.authenticate(header)).name == "ann"
        await here.revoke(made.key.key_id)
        with pytest.raises(Unauthenticated, match="revoked"):
            await here.authenticate(header)
        await asyncio.sleep(CACHE_SECONDS)
        with pytest.raises(Unauthenticated, match="revoked"):
            await there.authenticate(header)
        again = await here.revoke(made.key.key_id)
        assert again.revoked_at is not None and again == await here.revoke(made.key.key_id)
    finally:
        await limiter.aclose()
        await store.close()


async def test_given_a_leaked_operators_key_when_revoked_then_only_another_secret_brings_it_back(
    site: Site,
) -> None:
    async with site.gateway(), site.client() as operator:
        await operator.call(api.REVOKE_KEY, key_id="operator")
    async with site.gateway(), site.client() as operator:
        with pytest.raises(Unauthenticated):
            await operator.call(api.LIST_KEYS)
    fresh = "ick_operator_" + "n" * 43
    site.secret_file.write_text(fresh)
    async with site.gateway():
        async with site.client(fresh) as operator:
            assert (await operator.call(api.LIST_KEYS)).keys[0].revoked_at is None
        async with site.client() as operator:
            with pytest.raises(Unauthenticated):
                await operator.call(api.LIST_KEYS)


@pytest.mark.parametrize("content", [None, b"", b"operator", b"ick_operator_short", b"\xff\xfe"])
async def test_given_a_bootstrap_file_without_a_secret_when_started_then_the_setting_is_named(
    site: Site, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.apikey"
    if content is not None:
        path.write_bytes(content)
    store, limiter = await Store.open(site.database_url, 1), RateLimiter(site.redis_url)
    try:
        with pytest.raises(SettingsError, match=r"IRONCLAW_API_GATEWAY_BOOTSTRAP_KEY_FILE: .*bad\.apikey"):
            await People(store, limiter, 0).bootstrap(path)
        assert await store.listed() == []
    finally:
        await limiter.aclose()
        await store.close()
