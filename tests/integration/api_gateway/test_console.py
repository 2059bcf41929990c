"""The console over plain HTTP: sessions, forms, headers, roles. What a browser adds is in tests/browser."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Role
from tests.support.fleet import FleetUnderTest

OPERATORS_ONLY = (
    "/console/watch",
    "/console/policy",
    "/console/command-center",
    "/console/ledger",
    "/console/ledger/verify",
)
FOR_ALL = ("/", "/console/runs", "/console/theaters", "/console/help")


class Client:
    """A browser's HTTP without the browser."""

    def __init__(self, fleet: FleetUnderTest, session: aiohttp.ClientSession) -> None:
        self.fleet = fleet
        self.session = session

    async def get(self, path: str, **options: Any) -> tuple[int, str, Any]:
        async with self.session.get(self.fleet.url + path, allow_redirects=False, **options) as response:
            return response.status, await response.text(), response.headers

    async def post(self, path: str, form: dict[str, str], **options: Any) -> tuple[int, str, Any]:
        async with self.session.post(
            self.fleet.url + path, data=form, allow_redirects=False, **options
        ) as response:
            return response.status, await response.text(), response.headers

    async def token(self, path: str = "/") -> str:
        _, page, _ = await self.get(path)
        found = re.search(r'name="token" value="([^"]+)"', page)
        assert found is not None
        return found[1]

    async def sign_in(self, key: str, next_path: str = "/") -> tuple[int, str, Any]:
        token = await self.token("/console/sign-in")
        return await self.post("/console/sign-in", {"token": token, "key": key, "next": next_path})


@asynccontextmanager
async def client_of(fleet: FleetUnderTest, key: str | None = None) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        client = Client(fleet, session)
        if key is not None:
            status, _, _ = await client.sign_in(key)
            assert status == 303
        yield client


async def made_key(fleet: FleetUnderTest, **changes: Any) -> Any:
    async with fleet.client() as operator:
        return await operator.call(api.CREATE_KEY, KeyRequest(name="console", **changes))


@pytest.mark.parametrize("path", [*FOR_ALL, *OPERATORS_ONLY, "/console/runs/abc", "/console/orders/abc/raw"])
async def test_given_no_session_when_a_page_is_asked_for_then_it_leads_to_the_sign_in(
    fleet: FleetUnderTest, path: str
) -> None:
    async with client_of(fleet) as nobody:
        status, _, headers = await nobody.get(path)
        assert status == 303 and headers["Location"].startswith("/console/sign-in")


async def test_given_a_key_when_signed_in_then_the_cookie_is_for_this_site_and_no_script(
    fleet: FleetUnderTest,
) -> None:
    async with client_of(fleet) as client:
        status, _, headers = await client.sign_in(fleet.operator_key, "/console/runs?status=OPEN")
        assert status == 303 and headers["Location"] == "/console/runs?status=OPEN"
        cookie = next(c for c in headers.getall("Set-Cookie") if c.startswith("ironclaw_session"))
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
        assert fleet.operator_key not in cookie
        status, page, headers = await client.get("/")
        assert status == 200 and fleet.operator_key not in page
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("key", ["", "ick_nobody_" + "x" * 43, "not a key", "ick_operator_" + "x" * 43])
async def test_given_a_wrong_key_when_signed_in_then_401_and_no_session(
    fleet: FleetUnderTest, key: str
) -> None:
    async with client_of(fleet) as client:
        status, page, _ = await client.sign_in(key)
        assert status == 401 and 'role="alert"' in page
        assert (await client.get("/"))[0] == 303


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"]
)
async def test_given_a_way_on_to_another_site_when_signed_in_then_it_is_not_taken(
    fleet: FleetUnderTest, elsewhere: str
) -> None:
    async with client_of(fleet) as client:
        _, _, headers = await client.sign_in(fleet.operator_key, elsewhere)
        assert headers["Location"] == "/"


async def test_given_forms_without_the_sessions_token_when_sent_then_each_is_refused_and_nothing_happens(
    fleet: FleetUnderTest,
) -> None:
    async with client_of(fleet, fleet.operator_key) as client:
        token = await client.token()
        before = await client.get("/console/runs")
        for given in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "ü"}):
            for path in (
                "/console/chat",
                "/console/watch/patrol",
                "/console/sign-out",
                "/console/runs/x/cancel",
            ):
                status, _, _ = await client.post(path, {"message": "Draft by forgery", **given})
                assert status == 403, (path, given)
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            form = {"message": "Draft by forgery", "token": token}
            status, _, _ = await client.post("/console/chat", form, headers=headers)
            assert status == 403
        assert "forgery" not in (await client.get("/console/runs"))[1]
        assert before[0] == 200
    async with client_of(fleet) as other:
        await other.token("/console/sign-in")
        forged = {"token": "another", "key": fleet.operator_key, "next": "/"}
        assert (await other.post("/console/sign-in", forged))[0] == 403


async def test_given_another_sessions_token_when_a_form_carries_it_then_it_is_refused(
    fleet: FleetUnderTest,
) -> None:
    async with client_of(fleet, fleet.operator_key) as one, client_of(fleet, fleet.operator_key) as two:
        assert (await two.post("/console/watch/patrol", {"token": await one.token()}))[0] == 403
        assert (await one.post("/console/watch/patrol", {"token": await one.token()}))[0] == 200


async def test_given_a_users_key_when_signed_in_then_operators_pages_and_forms_are_refused(
    fleet: FleetUnderTest,
) -> None:
    made = await made_key(fleet, role=Role.USER, burst=1_000)
    async with client_of(fleet, made.secret) as user:
        for path in FOR_ALL:
            assert (await user.get(path))[0] == 200, path
        page = (await user.get("/"))[1]
        for path in OPERATORS_ONLY:
            status, refusal, _ = await user.get(path)
            assert status == 403 and "operator" in refusal and f'href="{path}"' not in page
        token = await user.token()
        for path in (
            "/console/watch/patrol",
            "/console/watch/audit",
            "/console/theaters",
            "/console/orders/x/recover",
        ):
            assert (await user.post(path, {"token": token}))[0] == 403, path


async def test_given_a_session_when_signed_out_or_its_key_revoked_then_it_is_over_at_once(
    fleet: FleetUnderTest,
) -> None:
    made = await made_key(fleet)
    async with client_of(fleet, made.secret) as leaving, client_of(fleet, made.secret) as staying:
        cookies = {c.key: c.value for c in leaving.session.cookie_jar}
        status, _, _ = await leaving.post("/console/sign-out", {"token": await leaving.token()})
        assert status == 303 and (await leaving.get("/"))[0] == 303
        async with aiohttp.ClientSession(cookies=cookies) as kept:
            assert (await Client(fleet, kept).get("/"))[0] == 303, "the cookie still opens the door"
        assert (await staying.get("/"))[0] == 200
        stream = await staying.session.get(fleet.url + "/console/runs/live")
        async with fleet.client() as operator:
            await operator.call(api.REVOKE_KEY, key_id=made.key.key_id)
        assert (await staying.get("/"))[0] == 303
        async with asyncio.timeout(20):
            heard = await stream.text()
        assert heard.rstrip().endswith("data: signed out")


async def test_given_a_small_bucket_when_pages_are_looked_at_then_they_count_against_the_key(
    fleet: FleetUnderTest,
) -> None:
    made = await made_key(fleet, rate_per_minute=30, burst=3)
    async with client_of(fleet, made.secret) as hasty:
        found = [await hasty.get("/console/help") for _ in range(6)]
        assert [status for status, _, _ in found[:2]] == [200, 200]
        status, page, _ = found[-1]
        assert status == 429 and "retry in" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/runs?status=NONE", 400),
        ("/console/runs?theater_id=..%2F..", 400),
        ("/console/runs?cursor=-1", 400),
        ("/console/runs?cursor=99999999999999999999", 400),
        ("/console/runs?theater_id=a%00b", 400),
        ("/console/runs/%2e%2e", 404),
        ("/console/runs/unknown", 404),
        ("/console/runs/unknown?at_seq=x", 400),
        ("/console/orders/unknown", 404),
        ("/console/orders/unknown/artifact?path=../../etc/passwd", 404),
        ("/console/orders/unknown/raw", 404),
        ("/console/theaters/unknown", 404),
        ("/console/ledger?type=NONE", 400),
        ("/console/ledger?run_id=%3Cscript%3E", 400),
        ("/console/nowhere", 404),
        ("/console/static/../app.py", 404),
        ("/console/static/%2e%2e/app.py", 404),
    ],
)
async def test_given_an_address_that_cannot_be_when_asked_for_then_a_page_says_what_is_wrong(
    fleet: FleetUnderTest, path: str, status: int
) -> None:
    async with client_of(fleet, fleet.operator_key) as client:
        found, page, headers = await client.get(path)
        assert found == status, page[:500]
        assert "<script>" not in page
        if "static" not in path:
            assert headers["Content-Type"].startswith("text/html") and "Try again" in page


async def test_given_forms_that_cannot_be_when_sent_then_the_field_is_named(fleet: FleetUnderTest) -> None:
    async with client_of(fleet, fleet.operator_key) as client:
        token = await client.token()
        for form, word in (
            ({"message": " "}, "message"),
            ({"message": "Draft", "theater": "../up"}, "theater_hint"),
            ({"message": "Draft", "run_id": "no id"}, "run_id"),
            ({"message": "Draft", "on_order_failure": "give up"}, "on_order_failure"),
            ({"message": "nul \x00"}, "message"),
        ):
            status, page, _ = await client.post("/console/chat", {**form, "token": token})
            assert status == 400 and word in page, (form, page)
        status, page, _ = await client.post("/console/theaters", {"theater_id": "..", "token": token})
        assert status == 400 and "theater_id" in page
        status, _, _ = await client.post("/console/chat", {"message": "x" * 600_000, "token": token})
        assert status == 413


async def test_given_a_form_sent_twice_when_it_asks_then_there_is_one_run(fleet: FleetUnderTest) -> None:
    async with client_of(fleet, fleet.operator_key) as client:
        _, page, _ = await client.get("/")
        run_id = re.search(r'name="run_id" value="([^"]+)"', page)
        assert run_id is not None
        form = {"message": "Draft once", "run_id": run_id[1], "token": await client.token()}
        answers = [await client.post("/console/chat", form) for _ in range(2)]
        assert [headers["Location"] for _, _, headers in answers] == [f"/console/chat/{run_id[1]}"] * 2
