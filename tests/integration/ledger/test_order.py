"""Total order: no gaps, no skips, no doubles, under many writers, readers and kills (TRUST rows 1, 5, 12)."""

import asyncio
import json
import signal
from pathlib import Path

import asyncpg
import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Internal, NotFound, Problem, Unavailable
from ironclaw_contracts.events import Event, NewEvent, new_event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import RunSnapshot
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor
from ironclaw_ledger import audit, fold, stream
from ironclaw_ledger.appender import Appender
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import open_ledger

pytestmark = pytest.mark.trust


def tick(event_id: str | None = None, value: int = 0) -> NewEvent:
    return new_event(E.PATROL_TICK, p.PatrolTick(figures={"value": value}), event_id=event_id)


async def test_given_one_event_sent_200_times_at_once_then_it_has_one_effect_and_one_answer(
    ledger: Ledger,
) -> None:
    calls = (ledger.appender.append(Service.DUTY_OFFICER, [tick("same")]) for _ in range(200))
    answers = [answer for batch in await asyncio.gather(*calls) for answer in batch]
    assert {(a.seq, a.hash) for a in answers} == {(answers[0].seq, answers[0].hash)}
    assert sum(not a.duplicate for a in answers) == 1
    assert (await ledger.store.head())[0] == 1


async def test_given_16_writers_and_4_tailing_readers_when_some_appends_fail_then_no_gap_skip_or_reorder(
    ledger: Ledger, database_url: str, keys_folder: Path
) -> None:
    writers, each = 16, 25
    async with open_ledger(database_url, keys_folder, migrated=False) as replica:

        async def write(number: int) -> None:
            for index in range(each):
                through = (ledger, replica)[index % 2]
                await through.appender.append(Service.DUTY_OFFICER, [tick(f"{number}-{index}")])
                bad = [
                    tick(),
                    new_event(E.ORDER_REISSUED, p.OrderReissued(attempt=2, reason="x"), order_id="no"),
                ]
                with pytest.raises(NotFound):
                    await through.appender.append(Service.DUTY_OFFICER, bad)

        async def read(through: Ledger) -> list[int]:
            seen: list[int] = []
            async for event in await through.stream.follow(0, None, None):
                seen.append(int(event.id))
                if len(seen) == writers * each:
                    return seen
            raise AssertionError("the stream ended")

        readers = [asyncio.ensure_future(read((ledger, replica)[n % 2])) for n in range(4)]
        await asyncio.gather(*(write(number) for number in range(writers)))
        for seen in await asyncio.wait_for(asyncio.gather(*readers), 30):
            assert seen == list(range(1, writers * each + 1))
    assert (await audit.verify(ledger.store, ledger.signer.public_key)).ok


async def test_given_postgres_killed_under_8_writers_then_nothing_acknowledged_is_lost_or_doubled(
    open_path: Path, keys_folder: Path
) -> None:
    state = StateDirectory(open_path / "state")
    state.create()
    server = EmbeddedPostgres(state, free_port())
    await asyncio.to_thread(server.prepare)
    supervisor = Supervisor()
    supervisor.add(server.spec())
    await supervisor.wait_ready()
    acknowledged: set[str] = set()
    stopping = asyncio.Event()
    try:
        async with open_ledger(server.url("postgres"), keys_folder) as ledger:

            async def write(number: int) -> None:
                index = 0
                while not stopping.is_set():
                    event = tick(f"{number}-{index}")
                    try:
                        await ledger.appender.append(Service.DUTY_OFFICER, [event])
                    except Unavailable:
                        await asyncio.sleep(0.02)  # unknown: the same event again settles it
                        continue
                    acknowledged.add(event.event_id or "")
                    index += 1

            writers = [asyncio.ensure_future(write(number)) for number in range(8)]
            for _ in range(3):
                await asyncio.sleep(0.4)
                supervisor.kill("postgres", signal.SIGKILL)
                await asyncio.sleep(0.1)
                await supervisor.wait_ready("postgres")
            await asyncio.sleep(0.3)
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*writers), 30)
            assert (await audit.verify(ledger.store, ledger.signer.public_key)).ok
            connection = await asyncpg.connect(server.url("postgres"))
            stored = [
                row["event_id"] for row in await connection.fetch("select event_id from events order by seq")
            ]
            await connection.close()
    finally:
        await supervisor.stop()
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    assert len(acknowledged) > 50


async def test_given_a_full_queue_when_appending_then_503_and_what_was_accepted_is_kept(
    database_url: str, keys_folder: Path
) -> None:
    async with open_ledger(database_url, keys_folder, queue_max=4) as ledger:
        calls = (ledger.appender.append(Service.DUTY_OFFICER, [tick(f"t{n}")]) for n in range(50))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [o for o in outcomes if isinstance(o, Problem)]
        assert refused and all(isinstance(o, Unavailable) for o in refused)
        assert (await ledger.store.head())[0] == len(outcomes) - len(refused)


async def test_given_callers_that_come_back_when_one_is_out_of_step_then_they_are_halved_again(
    ledger: Ledger,
) -> None:
    groups: list[int] = []
    appender = Appender(ledger.store, ledger.signer, lambda events: groups.append(len(events)), queue_max=100)

    async def write(after: asyncio.Event | None = None) -> None:
        if after is not None:
            await after.wait()
        for _ in range(10):
            await appender.append(Service.DUTY_OFFICER, [tick()])

    async def lead() -> None:
        waiting = asyncio.ensure_future(write())
        await asyncio.sleep(0)
        begun.set()
        await waiting

    begun = asyncio.Event()
    async with appender.running():
        await asyncio.gather(lead(), *(write(begun) for _ in range(7)))
    assert groups == [1, *[4] * 19, 3]


async def test_given_appends_under_way_when_the_ledger_stops_then_each_is_answered(
    database_url: str, keys_folder: Path
) -> None:
    async with open_ledger(database_url, keys_folder) as ledger:

        async def write(appender: Appender) -> None:
            while True:
                await appender.append(Service.DUTY_OFFICER, [tick()])

        for stop in range(20):
            appender = Appender(ledger.store, ledger.signer, lambda _: None, queue_max=100)
            async with appender.running():
                writers = [asyncio.ensure_future(write(appender)) for _ in range(8)]
                await appender.append(Service.DUTY_OFFICER, [tick()])
                for _ in range(stop):
                    await asyncio.sleep(0)
            async with asyncio.timeout(10):
                ended = await asyncio.gather(*writers, return_exceptions=True)
            assert all(isinstance(outcome, Unavailable) for outcome in ended)


async def test_given_a_stream_cap_when_exceeded_then_503(database_url: str, keys_folder: Path) -> None:
    async with open_ledger(database_url, keys_folder, streams_max=1) as ledger:
        await ledger.appender.append(Service.DUTY_OFFICER, [tick()])
        first = await ledger.stream.follow(0, None, None)
        event = await anext(first)
        assert json.loads(event.data)["seq"] == 1
        with pytest.raises(Unavailable):
            await ledger.stream.follow(0, None, None)
        await first.aclose()


async def test_given_a_request_that_we_fail_to_decide_when_appended_then_its_neighbours_are_not_harmed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(event: Event, payload: p.RunCreated) -> RunSnapshot:
        if payload.objective == "fail":
            raise ZeroDivisionError
        return create_run(event, payload)

    create_run = fold.create_run
    monkeypatch.setattr(fold, "create_run", faulty)
    objectives = ["a", "fail", "b", "fail", "c"]
    events = [
        new_event(
            E.RUN_CREATED, p.RunCreated(user_id="u", objective=objective), run_id=f"r{n}", theater_id="t"
        )
        for n, objective in enumerate(objectives)
    ]
    calls = (ledger.appender.append(Service.CO, [event]) for event in events)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(outcome, Internal) for outcome in outcomes] == [o == "fail" for o in objectives]
    assert (await ledger.store.head())[0] == 3


async def settled(ledger: Ledger, event: NewEvent) -> None:
    """Append an event, again while the outcome is not known."""
    async with asyncio.timeout(10):
        while True:
            try:
                await ledger.appender.append(Service.DUTY_OFFICER, [event])
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_given_a_listener_cut_off_when_another_replica_commits_then_readers_hear_of_it_again(
    ledger: Ledger, database_url: str, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_LISTEN_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(stream, "_RELISTEN_SECONDS", 0.05)
    monkeypatch.setattr(stream, "_POLL_SECONDS", 60.0)  # so that nothing but listening can bring the event
    async with open_ledger(database_url, keys_folder, migrated=False) as replica:
        events = await replica.stream.follow(0, None, None)
        await ledger.appender.append(Service.DUTY_OFFICER, [tick("before")])
        assert (await asyncio.wait_for(anext(events), 10)).id == "1"
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)  # by now it has looked into the table, and waits to be woken
        admin = await asyncpg.connect(database_url)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await admin.close()
        await settled(ledger, tick("during"))
        assert (await asyncio.wait_for(waiting, 10)).id == "2"
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.2)
        await settled(ledger, tick("after"))
        assert (await asyncio.wait_for(waiting, 10)).id == "3"
        await events.aclose()


async def test_given_another_replica_when_it_commits_then_a_waiting_reader_is_woken_at_once(
    ledger: Ledger, database_url: str, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_POLL_SECONDS", 60.0)
    async with open_ledger(database_url, keys_folder, migrated=False) as replica:
        events = await replica.stream.follow(-1, None, None)
        for number in range(5):
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await ledger.appender.append(Service.DUTY_OFFICER, [tick(f"t{number}")])
            assert (await asyncio.wait_for(waiting, 5)).id == str(number + 1)
        await events.aclose()


async def test_given_a_stream_that_stands_when_events_follow_at_once_then_it_misses_none(
    ledger: Ledger,
) -> None:
    for number in range(20):
        events = await ledger.stream.follow(-1, None, None)
        await ledger.appender.append(Service.DUTY_OFFICER, [tick(f"t{number}")])
        assert (await asyncio.wait_for(anext(events), 10)).id == str(number + 1)
        await events.aclose()
