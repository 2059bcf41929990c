"""Appends that hold nothing while they are decided: what moved meanwhile is noticed, and nothing is written."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType, NewEvent, new_event
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.payloads import RunUpdated
from ironclaw_ledger import audit
from ironclaw_ledger.append import Request, State, parse
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.store import Moved
from tests.support.ledger import Scribe, open_ledger


def requested(source: Service, event: NewEvent) -> Request:
    return Request(source=source, events=(parse(event, source),))


def applied(state: State, request: Request) -> State:
    state.apply(request, [new_id()], datetime.now(UTC))
    return state


def tick() -> NewEvent:
    return NewEvent(type=EventType.PATROL_TICK, payload={"figures": {}})


@pytest.fixture
async def replica(ledger: Ledger, database_url: str, keys_folder: Path) -> AsyncIterator[Ledger]:
    """Another process of the ledger: one has one connection to append by."""
    async with open_ledger(database_url, keys_folder, migrated=False) as opened:
        yield opened


async def test_given_another_append_between_when_saved_then_it_has_moved_and_nothing_is_written(
    ledger: Ledger, replica: Ledger
) -> None:
    async with ledger.store.hoping() as hoping:
        state = await hoping.load([], set(), set(), set())
        await replica.appender.append(Service.DUTY_OFFICER, [tick()])
        with pytest.raises(Moved):
            await hoping.save(applied(state, requested(Service.DUTY_OFFICER, tick())), [])
    assert (await ledger.store.head())[0] == 1


async def test_given_a_rebuild_between_when_saved_then_it_has_moved_though_nobody_appended(
    ledger: Ledger, replica: Ledger
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    head, _ = await ledger.store.head()
    update = new_event(EventType.RUN_UPDATED, RunUpdated(cancel_requested="enough"), run_id=scribe.run_id)
    async with ledger.store.hoping() as hoping:
        state = await hoping.load([], set(), {scribe.run_id}, set())
        await audit.rebuild(replica.store)
        with pytest.raises(Moved):
            await hoping.save(applied(state, requested(Service.CO, update)), [])
    assert (await ledger.store.head())[0] == head
    assert (await ledger.reader.run(scribe.run_id)).run.cancel_requested is None
    await ledger.appender.append(Service.CO, [update])
    assert (await ledger.reader.run(scribe.run_id)).run.cancel_requested == "enough"


async def test_given_a_rebuild_under_way_when_appended_then_the_append_waits_and_sees_what_was_rebuilt(
    ledger: Ledger, replica: Ledger
) -> None:
    for _ in range(20):
        rebuilding = asyncio.ensure_future(audit.rebuild(replica.store))
        appends = [ledger.appender.append(Service.DUTY_OFFICER, [tick()]) for _ in range(5)]
        await asyncio.gather(rebuilding, *appends)
    verdict = await audit.verify(ledger.store, ledger.signer.public_key, ledger.stream.seq_max)
    assert verdict.ok and (await ledger.store.head())[0] == 100
