"""Rows 3, 4, 17 and 18 of the table of trust: units killed by the dozen, Redis away, slow networks, overload."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery, RunsQuery
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import new_id
from tests.support.fleet import FleetUnderTest
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until

FULL = bool(os.environ.get("IRONCLAW_TRUST_FULL"))
pytestmark = [pytest.mark.trust, pytest.mark.slow, pytest.mark.timeout(900)]


async def test_row_3_given_a_worker_when_killed_mid_order_again_and_again_then_one_result_and_a_new_lease_in_15_s(
    spare: FleetUnderTest,
) -> None:
    kills = 50 if FULL else 2
    # The standard settings: this is the promise that users get.
    async with spare.client() as client:
        for number in range(kills):
            request = api.ChatRequest(
                message=f"write {number}",
                mode="async",
                playbook="draft",
                inputs={"text": "word " * 20_000},
            )
            run_id = (await client.call(api.CHAT, request)).run_id
            killed_at = await kill_mid_order(spare, client, run_id)
            view = await ended(client, run_id, 90)
            assert view.run.status is RunStatus.COMPLETE
            query = EventsQuery(types="ORDER_CLAIMED,INTEGRATED", run_id=run_id)
            events = (await client.call(api.LIST_EVENTS, query=query)).events
            claims = [e for e in events if e.type is EventType.ORDER_CLAIMED]
            assert len(events) - len(claims) == 1
            if killed_at is not None and len(claims) > 1:
                assert claims[-1].ts.timestamp() - killed_at <= 15.0


async def kill_mid_order(fleet: FleetUnderTest, client: object, run_id: str) -> float | None:
    """Kill the worker while it has the order; None when it was too quick."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        orders = (await client.call(api.GET_RUN, run_id=run_id)).orders  # type: ignore[attr-defined]
        if orders and orders[0].phase in {OrderPhase.CLAIMED, OrderPhase.RUNNING}:
            fleet.kill("worker")
            return time.time()
        if orders and orders[0].phase in {OrderPhase.INTEGRATED, OrderPhase.COMPLETED}:
            return None
        await asyncio.sleep(0.002)
    return None


async def test_row_4_given_redis_wiped_and_away_when_it_is_back_then_every_order_is_drained(
    spare: FleetUnderTest,
) -> None:
    orders, away_seconds = (300, 30) if FULL else (30, 3)
    async with spare.client() as client:
        limits = Constraints(budget_seconds=300)
        runs = [
            (
                await client.call(
                    api.CHAT,
                    api.ChatRequest(message=f"write {n}", mode="async", playbook="draft", constraints=limits),
                )
            ).run_id
            for n in range(orders)
        ]
        end = time.monotonic() + away_seconds
        while time.monotonic() < end:
            spare.kill("valkey-server")
            await asyncio.sleep(0.2)
        for service in (Service.LEDGER, Service.CO, Service.WORKER, Service.DUTY_OFFICER):
            assert len(spare.pids(service)) == 1  # they stayed up

        async def drained() -> bool | None:
            page = await client.call(api.LIST_RUNS, query=RunsQuery(status=RunStatus.OPEN, limit=1000))
            return not page.runs or None

        await until(drained, 120, "the end of every run")
        views = [await client.call(api.GET_RUN, run_id=run_id) for run_id in runs]
    assert all(view.run.status is RunStatus.COMPLETE for view in views)


@pytest.fixture(scope="module")
def behind_proxy(open_root: Path) -> Iterator[tuple[FleetUnderTest, Proxy]]:
    """A fleet whose services reach the ledger through a proxy."""
    fleet = FleetUnderTest(open_root / "behind-proxy", {}, ())
    with Proxy(fleet.port_of(Service.LEDGER)) as ledger:
        fleet.environ["IRONCLAW_LEDGER_URL"] = ledger.url
        try:
            fleet.up()
            yield fleet, ledger
        finally:
            fleet.down()


@pytest.mark.parametrize("harm", ["delay", "reset", "dark"])
async def test_row_17_given_a_network_that_fails_in_part_when_asked_then_no_wait_is_unbounded_and_it_recovers(
    behind_proxy: tuple[FleetUnderTest, Proxy], harm: str
) -> None:
    """Every service reaches the ledger through a proxy that is slow, resets, or swallows what it is sent."""
    fleet, ledger = behind_proxy
    async with fleet.client() as client:
        request = api.ChatRequest(message="write", mode="async", playbook="draft", run_id=new_id())
        if harm == "delay":
            ledger.delay = 1.0 if not FULL else 5.0
        else:
            ledger.mode = "reset" if harm == "reset" else "dark"
        began = time.monotonic()
        for _ in range(3 if FULL else 1):
            try:
                async with asyncio.timeout(60):
                    await client.call(api.LIST_RUNS)
                    break
            except Unavailable:
                continue
        assert time.monotonic() - began < (90 if FULL else 30)
        ledger.mode, ledger.delay = "pass", 0.0

        async def asked() -> str | None:
            return (await client.call(api.CHAT, request)).run_id

        view = await ended(client, await until(asked, 60, "the chat"), 90)
    assert view.run.status is RunStatus.COMPLETE


async def test_row_18_given_five_times_what_it_can_when_overloaded_then_it_says_so_and_loses_nothing_it_took(
    spare: FleetUnderTest,
) -> None:
    seconds = 60 if FULL else 3
    headers = {
        "Authorization": f"Bearer {spare.cli_json('keys', 'create', 'mob', '--rate', '600', '--burst', '20')['secret']}"
    }
    taken: list[str] = []
    refused: list[tuple[int, str]] = []

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def one(number: int) -> None:
            body = {"message": f"write {number}", "mode": "async", "playbook": "draft"}
            async with session.post(f"{spare.url}/chat", json=body, headers=headers) as response:
                answer = await response.json()
                if response.status == 200:
                    taken.append(answer["data"]["run_id"])
                else:
                    refused.append((response.status, response.headers.get("Retry-After", "")))

        tasks: list[asyncio.Task[None]] = []
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:  # an open loop: it does not wait for answers
            tasks.append(asyncio.create_task(one(number)))
            number += 1
            await asyncio.sleep(1 / 60)
        await asyncio.gather(*tasks)
    assert taken and refused
    assert {status for status, _ in refused} <= {429, 503}
    assert all(after.isdecimal() for _, after in refused)
    async with spare.client() as client:
        view = await ended(client, taken[0], 60)
        assert view.run.status is RunStatus.COMPLETE
        for run_id in taken:
            assert (await ended(client, run_id, 240)).run.status is RunStatus.COMPLETE
