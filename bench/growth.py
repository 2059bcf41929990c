"""Appends and reads of a snapshot in a ledger of 5 million events, beside one of 10 thousand.

Filling takes minutes, so this runs by name only:

    python -m bench growth

`IRONCLAW_BENCH_EVENTS` fills another number of events.
"""

import os
import time
from datetime import UTC, datetime
from importlib.resources import files

import asyncpg
import uvloop

from bench.appending import appended
from bench.report import Aim, Row, paired
from bench.stand import standing
from ironclaw_chassis.database import migrate
from ironclaw_chassis.secret import Secret
from ironclaw_contracts import payloads as p
from ironclaw_contracts.chain import GENESIS_HASH, link
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType, new_event
from ironclaw_ledger.append import Request, State, parse
from ironclaw_ledger.fold import as_text
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.settings import Settings

SMALL, LARGE = 10_000, int(os.environ.get("IRONCLAW_BENCH_EVENTS", "5000000"))
NOTES = 24
_CHUNK = 20_000
_RUN, _SEQ = "run-0000000000", 10**15  # stand in the model's texts for the run and for its first seq
_INDEXES = ("events_run", "events_order", "events_type", "runs_newest", "runs_open")


def model() -> State:
    """Return one run as the ledger itself decides it: created, noted upon, and failed in the end."""
    events = [
        new_event(
            EventType.RUN_CREATED,
            p.RunCreated(user_id="bench", objective="Grow."),
            theater_id="bench",
            run_id=_RUN,
            event_id=f"{_RUN}-0",
        )
    ]
    payloads = [p.RunUpdated(note=f"note {n}") for n in range(NOTES - 2)]
    for number, payload in enumerate([*payloads, p.RunEnded(reason="done")], start=1):
        kind = EventType.RUN_FAILED if isinstance(payload, p.RunEnded) else EventType.RUN_UPDATED
        events.append(new_event(kind, payload, run_id=_RUN, event_id=f"{_RUN}-{number}"))
    state = State(_SEQ - 1, GENESIS_HASH, {}, {}, {}, {})
    parsed = tuple(parse(event, Service.CO) for event in events)
    state.apply(Request(Service.CO, parsed), ["" for _ in events], datetime.now(UTC))
    return state


async def fill(url: str, count: int) -> None:
    """Fill a ledger with the model's run again and again, each under its own id, in one chain."""
    made = model()
    rows = [(row.event, row.fingerprint, row.body.decode()) for row in made.rows]
    snapshot = as_text(made.runs[_RUN])
    connection = await asyncpg.connect(url)
    definitions = [
        r["indexdef"]
        for r in await connection.fetch("select indexdef from pg_indexes where indexname = any($1)", _INDEXES)
    ]
    for index in _INDEXES:
        await connection.execute(f"drop index {index}")
    seq, head = 0, GENESIS_HASH
    while seq < count:
        facts: list[tuple[object, ...]] = []
        runs: list[tuple[object, ...]] = []
        while len(facts) < _CHUNK and seq < count:
            run_id, first = f"run-{seq:010d}", seq + 1
            for n, (event, fingerprint, text) in enumerate(rows):
                seq = first + n
                body = text.replace(_RUN, run_id).replace(str(_SEQ + n), str(seq))
                head = link(head, body.encode())
                columns = (event.type.value, "bench", run_id, None, event.source, fingerprint, body, head)
                facts.append((seq, f"{run_id}-{n}", event.ts, *columns))
            text = snapshot.replace(_RUN, run_id).replace(str(_SEQ + len(rows) - 1), str(seq))
            runs.append((run_id, "bench", "FAILED", first, seq, text.replace(str(_SEQ), str(first))))
        await connection.copy_records_to_table("events", records=facts)
        await connection.copy_records_to_table("runs", records=runs)
    for definition in definitions:
        await connection.execute(definition)
    await connection.execute("vacuum analyze")
    await connection.execute("checkpoint")
    await connection.close()


async def read(ledger: Ledger, events: int, seconds: float) -> float:
    """Return the milliseconds of a read of a run's snapshot, over runs spread through the ledger."""
    started, done = time.perf_counter(), 0
    runs = events // NOTES
    while time.perf_counter() - started < seconds:
        seq = (done * 7_919 % runs) * NOTES
        assert (await ledger.reader.run(f"run-{seq:010d}")).run.first_seq == seq + 1
        done += 1
    return (time.perf_counter() - started) * 1_000 / done


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both sizes in turn."""
    appends: dict[int, list[float]] = {SMALL: [], LARGE: []}
    reads: dict[int, list[float]] = {SMALL: [], LARGE: []}
    async with standing() as stand:
        ledgers: dict[int, Ledger] = {}
        for size in (SMALL, LARGE):
            url = await stand.database(f"of_{size}")
            await migrate(url, files("ironclaw_ledger") / "migrations")
            await fill(url, size)
            ledgers[size] = Ledger(Settings(database_url=Secret(url), keys_dir=str(stand.state.keys)))
        async with ledgers[SMALL].open(), ledgers[LARGE].open():
            for size in (SMALL, LARGE):
                await appended(ledgers[size], seconds)  # so that both begin warm
            for _ in range(rounds):
                for size in (SMALL, LARGE):
                    appends[size].append(1_000 / await appended(ledgers[size], seconds))
                    reads[size].append(await read(ledgers[size], size, seconds))
    return [
        paired(
            f"ledger in process: {what} at {LARGE:,} events",
            "ms",
            figures[LARGE],
            figures[SMALL],
            f"at {SMALL:,}",
            Aim("<=", 1.2),
        )
        for what, figures in (("an append", appends), ("a snapshot read", reads))
    ]


def rows() -> list[Row]:
    """Measure five rounds of two seconds each."""
    return uvloop.run(measure(2.0, 5))
