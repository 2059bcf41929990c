"""What an order's events cost the ledger's PostgreSQL: time on a core and log, not the time on the wall.

Time on a core and bytes say how far one PostgreSQL carries, whatever else runs on the machine: docs/scale.md.

    python -m bench capacity
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files

import asyncpg
import psutil

from bench.learning import ORDERS_A_RUN, WRITERS, write_run
from bench.ledger import Raw
from bench.report import Row, paired
from bench.stand import Stand, standing
from ironclaw_chassis.database import migrate
from ironclaw_chassis.secret import Secret
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.settings import Settings

ORDERS, ROUNDS = 320, 3


class Meter:
    """Reads what PostgreSQL and this process, which is the ledger's here, have spent so far."""

    def __init__(self, connection: asyncpg.Connection, postmaster: psutil.Process) -> None:
        self._connection = connection
        self._postmaster = postmaster

    @classmethod
    async def of(cls, connection: asyncpg.Connection) -> "Meter":
        """Return the meter of the server that a connection leads to; it runs on this machine."""
        backend = psutil.Process(await connection.fetchval("select pg_backend_pid()"))
        parent = backend.parent()
        assert parent is not None
        return cls(connection, parent)

    async def read(self) -> dict[str, float]:
        """Return seconds on a core, bytes of log and of tables, commits, and events."""
        times = self._postmaster.cpu_times()
        spent = times.user + times.system + times.children_user + times.children_system
        spent += sum(sum(child.cpu_times()[:2]) for child in self._postmaster.children())
        row = await self._connection.fetchrow(
            "select (select count(*) from ledger.events)::float8 as events,"
            " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as log,"
            " pg_database_size(current_database())::float8 as stored"
        )
        return {"postgres": spent, "ours": time.process_time(), **dict(row)}

    async def during(self, work: Callable[[], Awaitable[object]]) -> dict[str, float]:
        """Return what was spent while something was done."""
        before = await self.read()
        await work()
        after = await self.read()
        return {name: after[name] - before[name] for name in after}


async def write_orders(ledger: Ledger, round_: int) -> None:
    """Have runs of orders planned, done and merged, as the services would tell it, many at once."""
    share = ORDERS // WRITERS
    assert share <= ORDERS_A_RUN
    await asyncio.gather(*(write_run(ledger, f"run-{round_}-{n}", n * share, share) for n in range(WRITERS)))


async def measure(stand: Stand) -> list[Row]:
    """Write orders, and in turn insert the rows that they led to, plainly."""
    url = await stand.database("capacity")
    connection = await asyncpg.connect(url)
    await connection.execute("create schema ledger; alter database capacity set search_path = ledger")
    await migrate(url, files("ironclaw_ledger") / "migrations")
    meter = await Meter.of(connection)
    ledger = Ledger(Settings(database_url=Secret(url), keys_dir=str(stand.state.keys)))
    rounds: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    async with ledger.open(), asyncpg.create_pool(url, min_size=8, max_size=8) as pool:
        raw = Raw(pool)
        await write_orders(ledger, 0)  # plans and caches are warm after it
        for number in range(1, ROUNDS + 1):
            rounds.append(await meter.during(lambda n=number: write_orders(ledger, n)))
            await raw.take(connection, int(rounds[-1]["events"]))
            plain.append(await meter.during(raw.rate))
    await connection.close()

    def each(name: str, unit: float, found: list[dict[str, float]], by: list[float]) -> list[float]:
        return [one[name] * unit / count for one, count in zip(found, by, strict=True)]

    events = [one["events"] for one in rounds]
    orders = [float(ORDERS)] * ROUNDS
    bare = "raw unnest inserts of the same rows in hundreds"
    return [
        Row("one order: events", "", round(sum(events) / sum(orders), 1), rounds=ROUNDS),
        paired(
            "one event of an order: PostgreSQL on a core",
            "µs",
            each("postgres", 1e6, rounds, events),
            each("postgres", 1e6, plain, events),
            bare,
        ),
        paired(
            "one event of an order: write-ahead log",
            "B",
            each("log", 1, rounds, events),
            each("log", 1, plain, events),
            bare,
        ),
        paired(
            "one event of an order: the ledger's process on a core",
            "µs",
            each("ours", 1e6, rounds, events),
            each("postgres", 1e6, plain, events),
            bare,
        ),
        Row(
            "one order: PostgreSQL on a core, for its events",
            "ms",
            round(sum(each("postgres", 1e3, rounds, orders)) / ROUNDS, 2),
            rounds=ROUNDS,
        ),
        Row(
            "one order: tables and indexes of the ledger",
            "KiB",
            round(sum(each("stored", 1 / 1024, rounds, orders)) / ROUNDS, 1),
            rounds=ROUNDS,
        ),
    ]


async def standing_alone() -> list[Row]:
    """Measure on a PostgreSQL of its own."""
    async with standing() as stand:
        return await measure(stand)


def rows() -> list[Row]:
    """Measure three rounds of 320 orders."""
    return asyncio.run(standing_alone())
