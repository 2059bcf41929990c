"""Waiting for runs to end, on a real ledger: by hint, by look, through outages, and never for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ironclaw_api_gateway.endings import Endings
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import RunSnapshot
from tests.integration.api_gateway.conftest import Site

LOOK_SECONDS = 3.0  # a waiter looks by itself this often; sooner than that, only a hint can have told it


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def waiting(site: Site, *, following: bool = True, most: int = 10) -> AsyncIterator[Endings]:
    """The gateway's waiters on the site's ledger, with or without the stream of hints."""
    async with site.service(Service.API_GATEWAY) as client:
        endings = Endings(LedgerClient(client), most)
        if not following:
            yield endings
            return
        async with background(forever("endings", endings.follow, 0.05)):
            yield endings


async def begin(co: ServiceClient) -> RunSnapshot:
    ledger, run_id = LedgerClient(co), new_id()
    created = p.RunCreated(user_id="u", objective="x")
    await ledger.append(new_event(E.RUN_CREATED, created, run_id=run_id, theater_id="t"))
    return (await ledger.run(run_id)).run


async def end(co: ServiceClient, run: RunSnapshot) -> None:
    ended = p.RunEnded(reason="no plan")
    await LedgerClient(co).append(new_event(E.RUN_FAILED, ended, run_id=run.run_id, theater_id="t"))


async def soon(what: Callable[[], Awaitable[None]], seconds: float = 0.2) -> None:
    await asyncio.sleep(seconds)
    await what()


async def test_given_50_waiters_on_25_runs_when_these_end_then_one_stream_tells_all_before_they_look(
    site: Site, ledger_url: str
) -> None:
    async with site.ledger(ledger_url), waiting(site, most=100) as endings, site.service(Service.CO) as co:
        await asyncio.sleep(0.3)  # the stream stands
        runs = [await begin(co) for _ in range(25)]

        async def wait(run: RunSnapshot) -> RunSnapshot:
            with endings.hinted(run.run_id) as hint:
                return await endings.wait(run, hint, now() + 60)

        async with asyncio.timeout(LOOK_SECONDS - 0.5), asyncio.TaskGroup() as group:
            waits = [group.create_task(wait(run)) for run in runs * 2]
            await asyncio.sleep(0.05)
            for run in runs:
                await end(co, run)
    assert {task.result().status for task in waits} == {RunStatus.FAILED}
    assert [task.result().run_id for task in waits] == [run.run_id for run in runs * 2]


async def test_given_no_stream_at_all_when_a_run_ends_then_the_waiter_looks_and_sees(
    site: Site, ledger_url: str
) -> None:
    async with (
        site.ledger(ledger_url),
        waiting(site, following=False) as endings,
        site.service(Service.CO) as co,
    ):
        run = await begin(co)
        with endings.hinted(run.run_id) as hint:
            ending = asyncio.create_task(soon(lambda: end(co, run)))
            ended = await endings.wait(run, hint, now() + 30)
            await ending
    assert ended.status is RunStatus.FAILED and ended.reason == "no plan"


async def test_given_a_run_that_goes_on_when_the_deadline_passes_then_it_is_returned_open(
    site: Site, ledger_url: str
) -> None:
    async with site.ledger(ledger_url), waiting(site) as endings, site.service(Service.CO) as co:
        run = await begin(co)
        deadline = now() + 0.5
        with endings.hinted(run.run_id) as hint:
            seen = await endings.wait(run, hint, deadline)
        assert now() >= deadline
    assert seen.status is RunStatus.OPEN and seen.run_id == run.run_id


async def test_given_a_ledger_that_goes_away_when_it_is_back_then_the_waiter_has_not_given_up(
    site: Site, ledger_url: str
) -> None:
    async with waiting(site) as endings:
        async with site.ledger(ledger_url), site.service(Service.CO) as co:
            run = await begin(co)
        with endings.hinted(run.run_id) as hint:
            wait = asyncio.create_task(endings.wait(run, hint, now() + 60))
            await asyncio.sleep(LOOK_SECONDS + 0.5)  # it looked, and nobody was there
            assert not wait.done()
            async with site.ledger(ledger_url), site.service(Service.CO) as co:
                await end(co, run)
                assert (await wait).status is RunStatus.FAILED


async def test_given_a_ledger_that_is_away_when_the_deadline_passes_then_the_run_is_returned_not_an_error(
    site: Site, ledger_url: str
) -> None:
    async with waiting(site) as endings:
        async with site.ledger(ledger_url), site.service(Service.CO) as co:
            run = await begin(co)
        with endings.hinted(run.run_id) as hint:
            assert await endings.wait(run, hint, now() + 0.2) == run


async def test_given_all_places_taken_when_one_more_would_wait_then_503_and_a_place_given_back_is_free(
    site: Site,
) -> None:
    async with waiting(site, following=False, most=2) as endings:
        with endings.hinted("run-1"), endings.hinted("run-1"):
            with pytest.raises(Unavailable, match="async") as refused, endings.hinted("run-2"):
                pass
            assert refused.value.retry_after_seconds == 5
        with endings.hinted("run-2"):
            pass


async def test_given_a_caller_that_gives_up_when_its_wait_is_cancelled_then_its_place_is_free(
    site: Site, ledger_url: str
) -> None:
    async with (
        site.ledger(ledger_url),
        waiting(site, following=False, most=1) as endings,
        site.service(Service.CO) as co,
    ):
        run = await begin(co)

        async def wait() -> None:
            with endings.hinted(run.run_id) as hint:
                await endings.wait(run, hint, now() + 60)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with endings.hinted(run.run_id):
            pass


async def test_given_no_commanding_officer_when_chatting_then_503_and_there_is_no_run(
    site: Site, ledger_url: str
) -> None:
    async with site.ledger(ledger_url), site.gateway(), site.client() as client:
        with pytest.raises(Unavailable, match="co"):
            await client.call(api.CHAT, api.ChatRequest(message="x", deadline_seconds=1))
        assert (await client.call(api.LIST_RUNS)).runs == []
