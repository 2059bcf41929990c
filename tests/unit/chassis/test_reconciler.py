"""The reconciler: one key at a time, no hint lost, failures retried, the timer for the rest."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from ironclaw_chassis.reconciler import Reconciler, background, forever
from ironclaw_contracts.errors import Unavailable


async def nothing() -> AsyncIterator[str]:
    return
    yield


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_given_many_hints_for_one_key_when_working_then_it_is_never_worked_on_twice_at_once() -> None:
    at_once, most, rounds = 0, 0, 0

    async def work(key: str) -> None:
        nonlocal at_once, most, rounds
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        rounds += 1

    reconciler = Reconciler("test", work, nothing, period_seconds=60)
    async with reconciler.running():
        for _ in range(20):
            reconciler.nudge("a")
            await asyncio.sleep(0.002)
        await until(lambda: rounds >= 2 and at_once == 0)
    assert most == 1 and rounds < 20


async def test_given_a_hint_during_the_work_when_it_ends_then_there_is_one_more_round() -> None:
    seen: list[int] = []
    state = 1
    reconciler: Reconciler

    async def work(key: str) -> None:
        nonlocal state
        seen.append(state)
        if state == 1:
            state = 2
            reconciler.nudge(key)

    reconciler = Reconciler("test", work, nothing, period_seconds=60)
    async with reconciler.running():
        reconciler.nudge("a")
        await until(lambda: len(seen) == 2)
    assert seen == [1, 2]


async def test_given_a_failure_when_it_passes_then_the_work_is_done_without_a_further_hint() -> None:
    tries: Counter[str] = Counter()

    async def work(key: str) -> None:
        tries[key] += 1
        if tries[key] < 3:
            raise Unavailable("not yet")

    reconciler = Reconciler("test", work, nothing, period_seconds=60)
    async with reconciler.running():
        reconciler.nudge("a")
        await until(lambda: tries["a"] == 3)


async def test_given_no_hint_at_all_when_the_timer_runs_then_every_key_is_worked_on() -> None:
    done: Counter[str] = Counter()
    listed = 0

    async def keys() -> AsyncIterator[str]:
        nonlocal listed
        listed += 1
        if listed == 2:
            raise Unavailable("the list is away once")
        for key in ("a", "b"):
            yield key

    async def work(key: str) -> None:
        done[key] += 1

    reconciler = Reconciler("test", work, keys, period_seconds=0.02)
    async with reconciler.running():
        await until(lambda: done["a"] >= 2 and done["b"] >= 2)


async def test_given_a_sweep_asked_for_when_the_period_is_long_then_it_comes_at_once() -> None:
    listed = 0

    async def keys() -> AsyncIterator[str]:
        nonlocal listed
        listed += 1
        yield "a"

    async def work(key: str) -> None:
        pass

    reconciler = Reconciler("test", work, keys, period_seconds=600)
    async with reconciler.running():
        await until(lambda: listed == 1)
        reconciler.sweep_now()
        await until(lambda: listed == 2)


async def test_given_a_loop_that_fails_when_owned_by_a_context_then_it_goes_on_until_the_context_ends() -> (
    None
):
    steps = 0

    async def step() -> None:
        nonlocal steps
        steps += 1
        raise Unavailable("again")

    async with background(forever("test", step, 0.001)):
        await until(lambda: steps > 3)
    stopped = steps
    await asyncio.sleep(0.02)
    assert steps == stopped


async def test_given_nothing_to_do_when_the_timer_lists_then_it_lists_less_often_until_there_is() -> None:
    listed, there_is_work = 0, False

    async def keys() -> AsyncIterator[str]:
        nonlocal listed
        listed += 1
        if there_is_work:
            yield "a"

    async def work(_: str) -> None:
        return

    reconciler = Reconciler("test", work, keys, period_seconds=0.01, idle_seconds=600)
    async with reconciler.running():
        await until(lambda: listed == 1)
        await asyncio.sleep(0.1)
        assert listed == 1
        there_is_work = True
        reconciler.sweep_now()
        await until(lambda: listed >= 5)
