"""The fleet as processes: how long it takes to start, and what it takes of the machine when nothing is asked.

It is measured after it has done an order, so that what is imported late counts too. "All processes" are those
that `ironclaw up` starts and itself: supervisor, guardian, services, PostgreSQL with its backends, Valkey.

    python -m bench process
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.report import Aim, Row, paired
from bench.tree import is_database, processor_seconds, pss_mib, tree
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import RunStatus
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.local import SERVICES
from ironclaw_fleet.ports import free_port, free_port_row
from ironclaw_fleet.statedir import StateDirectory

BARE = """
import sys, uvicorn
from litestar import Litestar, get

@get("/")
async def ask() -> dict[str, bool]:
    return {"ok": True}

uvicorn.run(Litestar([ask]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""
START_SECONDS = 120
STOP_SECONDS = 30


@contextmanager
def started(home: Path) -> Generator[tuple[int, float]]:
    """Run `ironclaw up`; yield its pid and the seconds until every service was ready."""
    state = StateDirectory(home)
    state.create()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IRONCLAW_")}
    environ |= {"IRONCLAW_HOME": str(home), "IRONCLAW_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "ironclaw_fleet", "up", "--port-base", str(free_port_row())]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, cwd=home)
    try:
        while state.read_fleet() is None:
            if process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
                raise SystemExit("the fleet did not start")
            time.sleep(0.01)
        yield process.pid, time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


@contextmanager
def bare_processes(count: int) -> Generator[list[int]]:
    """Run bare Litestar processes, each asked once; yield their pids."""
    with ExitStack() as stack:
        pids: list[int] = []
        for port in [free_port() for _ in range(count)]:
            process = subprocess.Popen([sys.executable, "-c", BARE, str(port)])
            stack.callback(process.wait, STOP_SECONDS)
            stack.callback(process.terminate)
            deadline = time.perf_counter() + START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() > deadline:
                    raise SystemExit("a bare process did not start")
                time.sleep(0.05)
            pids.append(process.pid)
        yield pids


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


async def one_chat(home: Path) -> None:
    """Have one order done, so that the fleet is warm."""
    async with gateway(home) as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a note"))
    if answer.status is not RunStatus.COMPLETE:
        raise SystemExit(f"the run is {answer.status}: {answer.reason}")


def idle(pid: int, seconds: float) -> tuple[float, float]:
    """Return percent of a core that all processes take while nothing is asked, and those of our own."""
    before_all, before_own = _taken(pid)
    begun = time.perf_counter()
    time.sleep(seconds)
    after_all, after_own = _taken(pid)
    passed = time.perf_counter() - begun
    return (after_all - before_all) / passed * 100, (after_own - before_own) / passed * 100


def _taken(pid: int) -> tuple[float, float]:
    processes = tree(pid)
    own = processor_seconds(process for process in processes if not is_database(process))
    return processor_seconds(processes), own


def measure(rounds: int, settle_seconds: float, idle_seconds: float) -> list[Row]:
    """Start fleets in turn with bare processes."""
    fresh: list[float] = []
    again: list[float] = []
    everything: list[float] = []
    own: list[float] = []
    bare: list[float] = []
    busy: list[tuple[float, float]] = []
    count = 0
    for _ in range(rounds):
        with bare_processes(len(SERVICES)) as pids:
            bare.append(pss_mib(process for pid in pids for process in tree(pid)))
        with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as folder:
            Path(folder).chmod(0o711)
            home = Path(folder) / "fleet"
            with started(home) as (_, seconds):
                fresh.append(seconds)
                asyncio.run(one_chat(home))
            with started(home) as (pid, seconds):
                again.append(seconds)
                asyncio.run(one_chat(home))
                time.sleep(settle_seconds)
                busy.append(idle(pid, idle_seconds))
                processes = tree(pid)
                count = len(processes)
                everything.append(pss_mib(processes))
                own.append(pss_mib(process for process in processes if not is_database(process)))
    name = f"{len(SERVICES)} bare Litestar processes"
    total = sorted(busy)[len(busy) // 2]
    return [
        _seconds("fleet start, a new state directory", fresh),
        _seconds("fleet start, again", again),
        paired(
            "memory of the idle fleet, all processes",
            "MiB",
            everything,
            bare,
            name,
            Aim("<=", 1.5),
            note=f"PSS of {count} processes",
        ),
        paired("memory of the idle fleet, without databases", "MiB", own, bare, name),
        Row(
            "idle CPU of the fleet, all processes",
            "% of a core",
            round(total[0], 2),
            rounds=rounds,
            aims=(Aim("<=", 3, "ours"),),
            note=f"{total[1]:.2f} of it without databases; {idle_seconds:g} s each",
        ),
    ]


def _seconds(what: str, figures: list[float]) -> Row:
    median = sorted(figures)[len(figures) // 2]
    return Row(what, "s", round(median, 3), rounds=len(figures), aims=(Aim("<=", 6, "ours"),))


def rows() -> list[Row]:
    """Measure three rounds, a minute idle in each."""
    return measure(3, 15.0, 60.0)
