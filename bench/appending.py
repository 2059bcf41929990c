"""Appends in process, beside the PostgreSQL recorder of `eventsourcing`.

python -m bench appending
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.resources import files
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop

from bench.report import Aim, Row, paired
from bench.stand import Stand, standing
from ironclaw_chassis.database import migrate
from ironclaw_chassis.secret import Secret
from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType, NewEvent, new_event
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.settings import Settings

WRITERS = 8
_numbers = itertools.count(1)


def tick() -> NewEvent:
    """Return an event of about the size that the recorder is given."""
    payload = p.PatrolTick(figures={"backlog": 2, "examined": 3, "recovered": 0})
    return new_event(EventType.PATROL_TICK, payload, event_id=f"tick-{next(_numbers)}")


@asynccontextmanager
async def opened(stand: Stand, name: str) -> AsyncGenerator[Ledger]:
    """Hold a ledger of this process, on a database of its own."""
    url = await stand.database(name)
    await migrate(url, files("ironclaw_ledger") / "migrations")
    ledger = Ledger(Settings(database_url=Secret(url), keys_dir=str(stand.state.keys)))
    async with ledger.open():
        yield ledger


async def appended(ledger: Ledger, seconds: float) -> float:
    """Return durable appends a second of single events, by eight writers."""
    until, done = time.perf_counter() + seconds, 0

    async def write() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await ledger.appender.append(Service.DUTY_OFFICER, [tick()])
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return done / (time.perf_counter() - started)


class Recorder:
    """The application recorder of `eventsourcing`: total order and durable, as the ledger is."""

    def __init__(self, url: str) -> None:
        from eventsourcing.persistence import StoredEvent
        from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

        parts = urlsplit(url)
        self._stored = StoredEvent
        self._store = PostgresDatastore(
            dbname=parts.path.lstrip("/"),
            host=str(parts.hostname),
            port=str(parts.port),
            user=str(parts.username),
            password=str(parts.password),
            pool_size=WRITERS,
        )
        self._recorder = PostgresApplicationRecorder(self._store, events_table_name="recorded")
        self._recorder.create_table()

    def rate(self, seconds: float) -> float:
        """Return durable inserts a second of single events, by eight threads."""
        until = time.perf_counter() + seconds
        state = b'{"figures":{"backlog":2,"examined":3,"recovered":0}}'

        def write(_: int) -> int:
            done, originator = 0, uuid4()
            while time.perf_counter() < until:
                done += 1
                self._recorder.insert_events([self._stored(originator, done, "PATROL_TICK", state)])
            return done

        started = time.perf_counter()
        with ThreadPoolExecutor(WRITERS) as pool:
            done = sum(pool.map(write, range(WRITERS)))
        return done / (time.perf_counter() - started)

    def close(self) -> None:
        """Close the connections."""
        self._store.close()


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both in turn."""
    ours: list[float] = []
    theirs: list[float] = []
    async with standing() as stand, opened(stand, "ours") as ledger:
        recorder = Recorder(await stand.database("theirs"))
        try:
            for _ in range(rounds):
                theirs.append(await asyncio.to_thread(recorder.rate, seconds))
                ours.append(await appended(ledger, seconds))
        finally:
            recorder.close()
    return [
        paired(
            f"ledger in process: single durable events, {WRITERS} writers",
            "1/s",
            ours,
            theirs,
            f"eventsourcing's PostgreSQL recorder, {WRITERS} threads",
            Aim(">=", 3.0),
        )
    ]


def rows() -> list[Row]:
    """Measure five rounds of two seconds each."""
    return uvloop.run(measure(2.0, 5))
