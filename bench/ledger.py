"""The ledger over HTTP: single durable events, batches, and a reader that catches up.

python -m bench ledger
"""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import asyncpg
import msgspec
import uvloop

from bench.load import NUMBER, numbered, post, rate
from bench.report import Aim, Row, paired
from bench.stand import Stand, standing
from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType, NewEvent, new_event

CONNECTIONS = 32
BATCH = 100
BATCH_CONNECTIONS = 8


def created(name: str = NUMBER) -> NewEvent:
    """Return the creation of a run of its own: an event, and a snapshot derived from it."""
    run = p.RunCreated(user_id="bench", objective="Measure how fast runs are created.")
    return new_event(
        EventType.RUN_CREATED, run, theater_id="bench", run_id=f"run-{name}", event_id=f"e-{name}"
    )


def tick() -> NewEvent:
    """Return an event of which no snapshot is derived."""
    ticked = p.PatrolTick(figures={"backlog": 2, "examined": 3, "recovered": 0})
    return new_event(EventType.PATROL_TICK, ticked, event_id=f"t-{NUMBER}")


SINGLES = {"runs created": (Service.CO, created()), "patrol ticks": (Service.DUTY_OFFICER, tick())}
BATCHED = api.Batch(events=[created(f"{n:03d}-{NUMBER}") for n in range(BATCH)])


def sources(
    stand: Stand, caller: Service, path: str, body: object, connections: int
) -> list[Iterator[bytes]]:
    """Return one source of requests for each connection."""
    headers = {"Authorization": f"Bearer {stand.token(caller, Service.LEDGER)}"}
    return [numbered(post(path, msgspec.json.encode(body), headers))] * connections


async def singles(stand: Stand, seconds: float, rounds: int) -> list[Row]:
    """Measure both kinds of single events in turn with an empty POST of the same requests."""
    ours: dict[str, list[float]] = {kind: [] for kind in SINGLES}
    empty: dict[str, list[float]] = {kind: [] for kind in SINGLES}
    port, ledger = await stand.litestar(), stand.port_of(Service.LEDGER)
    for _ in range(rounds):
        for kind, (caller, event) in SINGLES.items():
            for figures, to, path in (
                (empty[kind], port, "/"),
                (ours[kind], ledger, api.APPEND_EVENT.path),
            ):
                figures.append(await rate(to, sources(stand, caller, path, event, CONNECTIONS), seconds))
    return [
        paired(
            f"ledger over HTTP: single durable events, {kind}",
            "1/s",
            ours[kind],
            empty[kind],
            f"empty Litestar POST, {CONNECTIONS} connections",
            Aim(">=", 0.6),
        )
        for kind in SINGLES
    ]


_RAW = """
insert into raw (seq, event_id, ts, type, theater_id, run_id, order_id, source, fingerprint, body, hash)
select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::bytea[], $10::text[], $11::text[])
"""


class Raw:
    """Inserts of the rows that the ledger wrote, into a table with the same indexes, and nothing else."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def take(self, ledger: asyncpg.Connection, count: int) -> None:
        """Remember the newest events, by batches of columns."""
        rows = await ledger.fetch("select * from ledger.events order by seq desc limit $1", count)
        rows.reverse()
        self._batches = [
            [list(column) for column in zip(*(row.values() for row in rows[n : n + BATCH]), strict=True)]
            for n in range(0, len(rows) - BATCH, BATCH)
        ]
        await self._pool.execute("drop table if exists raw")
        await self._pool.execute("create table raw (like ledger.events including indexes)")

    async def rate(self) -> float:
        """Return rows inserted a second; each batch is a transaction, made durable."""
        waiting = iter(self._batches)

        async def insert() -> None:
            async with self._pool.acquire() as connection:
                statement = await connection.prepare(_RAW)
                for columns in waiting:
                    await statement.fetch(*columns)

        started = time.perf_counter()
        await asyncio.gather(*(insert() for _ in range(BATCH_CONNECTIONS)))
        return len(self._batches) * BATCH / (time.perf_counter() - started)


async def batches(stand: Stand, admin: str, seconds: float, rounds: int) -> Row:
    """Measure batches in turn with raw inserts of the rows that they led to."""
    ours: list[float] = []
    plain: list[float] = []
    async with asyncpg.create_pool(admin, min_size=BATCH_CONNECTIONS, max_size=BATCH_CONNECTIONS) as pool:
        raw = Raw(pool)
        for _ in range(rounds):
            given = sources(stand, Service.CO, api.APPEND_BATCH.path, BATCHED, BATCH_CONNECTIONS)
            taken = await rate(stand.port_of(Service.LEDGER), given, seconds) * BATCH
            ours.append(taken)
            async with pool.acquire() as connection:
                await raw.take(connection, int(taken * seconds))
            plain.append(await raw.rate())
    return paired(
        f"ledger over HTTP: events in batches of {BATCH}",
        "1/s",
        ours,
        plain,
        f"raw asyncpg unnest inserts of the same rows, {BATCH_CONNECTIONS} connections",
        Aim(">=", 0.6),
    )


async def catch_up(stand: Stand, admin: str, rounds: int) -> Row:
    """Measure a reader of the stream from the beginning in turn with a SELECT of the same rows."""
    ours: list[float] = []
    plain: list[float] = []
    connection = await asyncpg.connect(admin)
    head = await connection.fetchval("select max(seq) from ledger.events")
    select = await connection.prepare("select seq, type, body, hash from ledger.events order by seq")
    url = f"http://127.0.0.1:{stand.port_of(Service.LEDGER)}{api.STREAM_EVENTS.path}?after=0"
    token = f"Bearer {stand.token(Service.CO, Service.LEDGER)}"
    last = b"id: %d\r\n" % head
    try:
        async with aiohttp.ClientSession(headers={"Authorization": token}) as session:
            for _ in range(rounds):
                started = time.perf_counter()
                assert len(await select.fetch()) == head
                plain.append(head / (time.perf_counter() - started))
                started = time.perf_counter()
                async with session.get(url) as response:
                    tail = b""
                    async for chunk in response.content.iter_any():
                        tail = tail[-64:] + chunk
                        if last in tail:
                            break
                ours.append(head / (time.perf_counter() - started))
    finally:
        await connection.close()
    return paired(
        f"ledger over HTTP: catching up with {head:,} events",
        "1/s",
        ours,
        plain,
        "raw SELECT of the same rows",
        Aim(">=", 0.5),
    )


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run all in turn with their baselines."""
    async with standing() as stand:
        await stand.service(Service.LEDGER)
        admin = stand.admin
        return [
            *(await singles(stand, seconds, rounds)),
            await batches(stand, admin, seconds, rounds),
            await catch_up(stand, admin, rounds),
        ]


def rows() -> list[Row]:
    """Measure five rounds of two seconds each."""
    return uvloop.run(measure(2.0, 5))
