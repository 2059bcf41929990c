"""What one order and one event cost PostgreSQL: its time on a core and its log, not the time on the wall.

Time on a core and bytes say how far one PostgreSQL carries whatever else runs on the machine: docs/scale.md.

    python -m bench capacity
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import psutil

from bench.report import Row
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.ids import new_id
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

ORDERS, AT_ONCE = 60, 8
EVENTS, WRITERS, BATCH = 20_000, 16, 100
IDLE_SECONDS = 10


class Meter:
    """Reads what PostgreSQL and the ledger's process have spent so far."""

    def __init__(self, postmaster: int, ledger_process: int, connection: asyncpg.Connection) -> None:
        self._postmaster = psutil.Process(postmaster)
        self._ledger = psutil.Process(ledger_process)
        self._connection = connection

    async def read(self) -> dict[str, float]:
        """Return seconds on a core, bytes of WAL and of tables, commits, and events."""
        times = self._postmaster.cpu_times()
        spent = times.user + times.system + times.children_user + times.children_system
        for child in self._postmaster.children(recursive=True):
            try:
                spent += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue  # its time is the postmaster's now; counted in the next reading
        row = await self._connection.fetchrow(
            "select (select count(*) from ledger.events) as events,"
            " pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal,"
            " pg_database_size(current_database())::float8 as stored"
        )
        return {"postgres": spent, "ledger": sum(self._ledger.cpu_times()[:2]), **dict(row)}

    async def during(self, work: Callable[[], Awaitable[None]]) -> dict[str, float]:
        """Return what was spent while something was done."""
        before = await self.read()
        await work()
        after = await self.read()
        return {name: float(after[name] - before[name]) for name in after}


async def orders(client: ServiceClient) -> None:
    """Ask for runs of one order each, several at once, until all are merged."""
    left = list(range(ORDERS))

    async def ask() -> None:
        while left:
            left.pop()
            chat = api.ChatRequest(message="Draft a note", run_id=new_id())
            answer = await client.call(api.CHAT, chat)
            if answer.status is not RunStatus.COMPLETE:
                raise SystemExit(f"the run is {answer.status}: {answer.reason}")

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))


async def appends(client: ServiceClient, batch: int, count: int) -> None:
    """Append events of which no snapshot is derived."""
    tick = p.PatrolTick(figures={"backlog": 2, "examined": 3, "recovered": 0})
    left = list(range(count // batch))

    async def append() -> None:
        while left:
            left.pop()
            made = [new_event(EventType.PATROL_TICK, tick, event_id=new_id()) for _ in range(batch)]
            await client.call(ledger.APPEND_BATCH, ledger.Batch(events=made))

    await asyncio.gather(*(append() for _ in range(WRITERS)))


def pid_of(state: StateDirectory) -> int:
    """Return the ledger's process on a state directory."""
    home = str(state.path)
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and process.info["cmdline"][-1:] == ["ironclaw_ledger"]:
            try:
                if process.environ().get("IRONCLAW_HOME") == home:
                    return process.pid
            except psutil.Error:
                continue
    raise SystemExit("the ledger's process was not found")


async def measure() -> list[Row]:
    """Measure orders first, then events alone; what the idle fleet spends is taken off."""
    os.environ["IRONCLAW_LOG_LEVEL"] = "warning"
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        state, port_base = StateDirectory(Path(name) / "fleet"), free_port_row()
        async with (
            running_fleet(state, port_base=port_base, workers=2, quiet=True),
            gateway(state.path) as client,
        ):
            postgres = EmbeddedPostgres.running(state)
            assert postgres is not None
            connection = await asyncpg.connect(postgres.url("ironclaw"))
            backend = await connection.fetchval("select pg_backend_pid()")
            postmaster = psutil.Process(backend).ppid()
            meter = Meter(postmaster, pid_of(state), connection)
            await orders(client)  # plans, caches and pools are warm after it
            idle = await meter.during(lambda: asyncio.sleep(IDLE_SECONDS))
            loop = asyncio.get_running_loop()
            began = loop.time()
            spent = await meter.during(lambda: orders(client))
            share = (loop.time() - began) / IDLE_SECONDS
            an_order = {key: max(0.0, value - idle[key] * share) / ORDERS for key, value in spent.items()}
            identity = Identity.load(Service.DUTY_OFFICER, state.keys)
            addresses = Addresses(ServiceSettings(port_base=port_base), {})
            async with ServiceClient(identity, addresses) as officer:
                batched = await meter.during(lambda: appends(officer, BATCH, EVENTS))
                single = await meter.during(lambda: appends(officer, 1, EVENTS // 10))
            await connection.close()
    rows = [
        Row("one order: events in the ledger", "", round(an_order["events"], 1), rounds=ORDERS),
        Row("one order: PostgreSQL on a core", "ms", round(an_order["postgres"] * 1e3, 2), rounds=ORDERS),
        Row(
            "one order: the ledger's process on a core",
            "ms",
            round(an_order["ledger"] * 1e3, 2),
            rounds=ORDERS,
        ),
        Row("one order: write-ahead log", "KiB", round(an_order["wal"] / 1024, 1), rounds=ORDERS),
        Row("one order: tables and indexes", "KiB", round(an_order["stored"] / 1024, 1), rounds=ORDERS),
    ]
    for what, found in ((f"batches of {BATCH}", batched), (f"single appends of {WRITERS} writers", single)):
        count = found["events"]
        for key, who in (("postgres", "PostgreSQL"), ("ledger", "the ledger's process")):
            micros = round(found[key] / count * 1e6, 1)
            rows.append(Row(f"one event, {what}: {who} on a core", "µs", micros, rounds=int(count)))
        rows.append(
            Row(f"one event, {what}: write-ahead log", "B", round(found["wal"] / count), rounds=int(count))
        )
    return rows


def rows() -> list[Row]:
    """Measure once."""
    return asyncio.run(measure())
