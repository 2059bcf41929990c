"""A queued order reaches a unit at once by a hint, and without one all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
from redis.asyncio import Redis

from ironclaw_chassis.queue import HINTS, ArqQueue
from ironclaw_chassis.reconciler import background
from ironclaw_contracts.artifacts import Constraints, Profile, ToolPolicy
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.jobs import JobMessage
from ironclaw_worker.consumer import Consumer
from ironclaw_worker.unit import Unit

NEVER = 600.0


def job(number: int) -> JobMessage:
    return JobMessage(
        order_id=f"order-{number}",
        run_id="run",
        theater_id="theater",
        worktree_path="/nowhere",
        attempt=1,
        profile=Profile(),
        constraints=Constraints(),
        tool_policy=ToolPolicy(),
    )


class Units:
    """What units of one worker were given; they work until they may end."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[str] = asyncio.Queue()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails = 0

    async def execute(self, job: JobMessage) -> None:
        await self.given.put(job.order_id)
        if self.fails:
            self.fails -= 1
            raise Unavailable("the ledger is away")
        await self.may_end.wait()

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return await self.given.get()


class Bench:
    """A queue, and workers on it."""

    def __init__(self, stack: AsyncExitStack, queue: ArqQueue, url: str) -> None:
        self._stack = stack
        self._url = url
        self.queue = queue
        self.redis = Redis.from_url(url)

    async def worker(self, *, units_max: int = 4, poll_seconds: float = NEVER) -> Units:
        units = Units()
        consumer = Consumer(cast("Unit", units), self._url, units_max=units_max, poll_seconds=poll_seconds)
        await self._stack.enter_async_context(background(consumer.run()))
        return units

    async def waiting(self, workers: int) -> None:
        """Wait until so many consumers wait for a hint."""
        async with asyncio.timeout(10):
            while (await self.redis.info("clients"))["blocked_clients"] < workers:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def bench_on(url: str) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack, ArqQueue(url) as queue:
        found = Bench(stack, queue, url)
        await found.redis.flushall()
        yield found
        await found.redis.aclose()


@pytest.fixture
async def bench(own_valkey_url: str) -> AsyncIterator[Bench]:
    async with bench_on(own_valkey_url) as found:
        yield found


async def test_given_a_waiting_worker_when_orders_are_queued_then_hints_alone_bring_each_once(
    bench: Bench,
) -> None:
    units = await bench.worker()
    await bench.waiting(1)
    for number in range(20):
        await bench.queue.enqueue(job(number))
        assert await units.next() == f"order-{number}"
    assert units.given.empty()


async def test_given_a_worker_without_room_when_a_unit_ends_then_the_next_order_is_taken_at_once(
    bench: Bench,
) -> None:
    units = await bench.worker(units_max=1)
    units.may_end.clear()
    await bench.waiting(1)
    for number in range(5):
        await bench.queue.enqueue(job(number))
    taken = {await units.next()}
    assert units.given.empty()
    units.may_end.set()
    taken |= {await units.next() for _ in range(4)}
    assert taken == {f"order-{number}" for number in range(5)}


async def test_given_two_workers_when_more_is_queued_than_one_can_do_then_both_are_woken(
    bench: Bench,
) -> None:
    one, other = await bench.worker(units_max=1), await bench.worker(units_max=1)
    one.may_end.clear()
    other.may_end.clear()
    await bench.waiting(2)
    await asyncio.gather(bench.queue.enqueue(job(1)), bench.queue.enqueue(job(2)))
    assert {await one.next(), await other.next()} == {"order-1", "order-2"}
    one.may_end.set()
    other.may_end.set()


async def test_given_a_lost_hint_when_the_queue_is_looked_at_all_the_same_then_the_order_is_taken(
    bench: Bench,
) -> None:
    await bench.queue.enqueue(job(1))
    await bench.redis.delete(HINTS)
    units = await bench.worker(poll_seconds=0.1)
    assert await units.next() == "order-1"
    await bench.waiting(1)
    await bench.queue.enqueue(job(2))
    assert await units.next() == "order-2"


async def test_given_an_order_that_was_put_back_when_its_time_comes_then_it_is_taken_without_a_hint(
    bench: Bench,
) -> None:
    units = await bench.worker(poll_seconds=0.1)
    units.fails = 1
    await bench.queue.enqueue(job(1))
    assert [await units.next(), await units.next()] == ["order-1", "order-1"]


async def test_given_no_worker_when_many_orders_are_queued_then_their_hints_are_bounded(
    bench: Bench,
) -> None:
    for number in range(300):
        await bench.queue.enqueue(job(number))
    assert await bench.redis.llen(HINTS) == 256
    units = await bench.worker()
    assert {await units.next() for _ in range(300)} == {f"order-{number}" for number in range(300)}


async def test_given_a_connection_that_is_cut_when_an_order_is_queued_then_it_is_taken(bench: Bench) -> None:
    units = await bench.worker()
    await bench.waiting(1)
    await bench.redis.client_kill_filter(_type="normal", skipme=True)
    await bench.queue.enqueue(job(1))
    assert await units.next() == "order-1"
