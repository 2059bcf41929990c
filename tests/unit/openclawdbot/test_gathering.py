"""Group commit: what is shared, and what a failing group leaves behind."""

import asyncio

import pytest

from ironclaw_contracts.errors import Unavailable
from ironclaw_openclawdbot.following import sent_key
from ironclaw_openclawdbot.gathering import Gathering


async def test_given_items_put_at_once_when_stored_then_they_share_statements_and_each_has_its_own_result() -> (
    None
):
    groups: list[list[int]] = []

    async def store(items: list[int]) -> list[int]:
        groups.append(items)
        await asyncio.sleep(0.01)
        return [item * 2 for item in items]

    gathering = Gathering[int, int](store)
    async with gathering.running():
        found = await asyncio.gather(*(gathering.put(number) for number in range(50)))
    assert found == [number * 2 for number in range(50)]
    assert len(groups) <= 2


@pytest.mark.parametrize("fault", [Unavailable("away"), ValueError("a defect"), KeyError("another")])
async def test_given_a_group_that_fails_when_the_next_comes_then_it_is_stored_all_the_same(
    fault: Exception,
) -> None:
    async def store(items: list[int]) -> list[int]:
        if 0 in items:
            raise fault
        return items

    gathering = Gathering[int, int](store)
    async with gathering.running(), asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await gathering.put(0)
        assert await gathering.put(1) == 1


async def test_given_a_store_that_answers_too_few_when_put_then_nobody_waits_for_ever() -> None:
    async def store(items: list[int]) -> list[int]:
        return items[1:]

    gathering = Gathering[int, int](store)
    async with gathering.running(), asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await gathering.put(1)


async def test_given_a_service_that_stops_when_something_is_under_way_then_its_caller_is_told() -> None:
    begun = asyncio.Event()

    async def store(items: list[int]) -> list[int]:
        begun.set()
        await asyncio.sleep(60)
        return items

    gathering = Gathering[int, int](store)
    async with asyncio.timeout(5):
        async with gathering.running():
            waiting = [asyncio.ensure_future(gathering.put(number)) for number in range(3)]
            await begun.wait()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


@pytest.mark.parametrize("key", ["plain", "clé-日本-✅", "x" * 300])
def test_given_a_key_that_a_browser_sends_back_when_read_then_it_is_the_key(key: str) -> None:
    assert sent_key(key.encode().decode("latin-1")) == key


def test_given_a_header_that_is_no_utf8_when_read_then_it_is_taken_as_it_came() -> None:
    assert sent_key("\xe9") == "\xe9"
