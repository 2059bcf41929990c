"""Processes forked from one that has imported what they share: what is their own, and how they end."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ironclaw_fleet.forking import IS_AVAILABLE, ForkServer
from ironclaw_fleet.process import Phase, ProcessSpec, ProcessState
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor
from tests.integration.fleet.conftest import Supervised, eventually, runs
from tests.support.processes import descendants, words

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="processes are forked on Linux only")

TELLS = """
import json, os, sys, time
found = {
    "environ": dict(os.environ), "argv": sys.argv[1:], "session": os.getsid(0), "pid": os.getpid(),
    "open": [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if int(name) > 2
             and os.path.exists(f"/proc/self/fd/{name}")],
    "shared": "fractions" in sys.modules,
}
print(json.dumps(found), flush=True)
if sys.argv[1:] == ["wait"]:
    time.sleep(60)
sys.exit(3)
"""

THREADS = """
import threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
"""


class Forking:
    """A supervisor with a fork server that knows one module, `tells`."""

    def __init__(self, folder: Path, modules: tuple[str, ...] = ("fractions",)) -> None:
        (folder / "tells.py").write_text(TELLS)
        (folder / "threads.py").write_text(THREADS)
        self.folder = folder
        self.changes: list[ProcessState] = []
        self.supervisor = Supervisor(self.changes.append)
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}
        self.server = ForkServer(modules, env, folder / "forkserver.log")
        self.supervisor.add(self.server.spec())

    def add(self, name: str, *arguments: str, **env: str) -> None:
        log = self.folder / f"{name}.log"

        async def ready() -> bool:
            return log.exists() and log.read_text().endswith("}\n")

        self.supervisor.add(
            ProcessSpec(
                name=name,
                argv=[sys.executable, "-m", "tells", *arguments],
                env=env,
                log_path=log,
                ready=ready,
                depends_on=("forkserver",),
                start=self.server.start,
            )
        )

    def said(self, name: str) -> dict[str, object]:
        return json.loads((self.folder / f"{name}.log").read_text().splitlines()[-1])

    def state(self, name: str) -> ProcessState:
        return next(state for state in self.supervisor.states() if state.name == name)


@pytest.fixture
async def forking(tmp_path: Path) -> AsyncIterator[Forking]:
    found = Forking(tmp_path)
    yield found
    await found.supervisor.stop()


async def test_given_two_processes_when_forked_then_each_has_its_own_environment_and_name_and_no_more(
    forking: Forking,
) -> None:
    forking.add("one", "wait", SECRET="of-one")
    forking.add("two", "wait", OTHER="of-two")
    await forking.supervisor.wait_ready()
    server = forking.state("forkserver").pid
    assert server is not None
    for name, environ in (("one", {"SECRET": "of-one"}), ("two", {"OTHER": "of-two"})):
        said, pid = forking.said(name), forking.state(name).pid
        assert pid is not None
        assert said["environ"] == environ
        assert (said["pid"], said["session"], said["argv"]) == (pid, pid, ["wait"])
        assert said["open"] == []
        assert said["shared"]
        assert "-m tells wait" in " ".join(words(pid))
        assert b"of-" not in (Path("/proc") / str(pid) / "environ").read_bytes()
    memory = _memory(server)
    assert b"forkserver" in memory
    assert b"of-one" not in memory and b"of-two" not in memory


def _memory(pid: int) -> bytes:
    """What a process can write to of its memory."""
    found = b""
    with (Path("/proc") / str(pid) / "mem").open("rb") as memory:
        for line in (Path("/proc") / str(pid) / "maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if mode.startswith("rw"):
                first, last = (int(part, 16) for part in span.split("-"))
                memory.seek(first)
                found += memory.read(last - first)
    return found


async def test_given_a_forked_process_when_it_ends_or_is_killed_then_its_code_is_told_and_it_starts_again(
    forking: Forking,
) -> None:
    forking.add("short")
    forking.add("long", "wait")
    await forking.supervisor.wait_ready("long")
    await eventually(lambda: forking.state("short").restarts >= 2, "two ends")
    forking.supervisor.kill("long", signal.SIGKILL)
    await eventually(lambda: forking.state("long").restarts == 1, "the restart")
    await forking.supervisor.wait_ready("long")
    ends = {(change.name, change.exit_code) for change in forking.changes if change.phase is Phase.BACKOFF}
    assert ends == {("short", 3), ("long", -signal.SIGKILL)}


async def test_given_a_fork_server_when_killed_then_its_processes_end_with_it_and_all_start_again(
    forking: Forking,
) -> None:
    forking.add("service", "wait")
    await forking.supervisor.wait_ready()
    first = forking.state("service").pid
    assert first is not None
    forking.supervisor.kill("forkserver", signal.SIGKILL)
    await eventually(lambda: not runs(first), "the end of what was forked")
    await eventually(lambda: forking.state("service").restarts == 1, "the restart")
    await forking.supervisor.wait_ready()
    assert forking.state("service").pid not in {None, first}


async def test_given_a_fork_server_that_stands_still_when_all_is_stopped_then_nothing_is_left(
    forking: Forking,
) -> None:
    forking.add("service", "wait")
    await forking.supervisor.wait_ready()
    pids = {state.pid for state in forking.supervisor.states() if state.pid is not None}
    forking.supervisor.kill("forkserver", signal.SIGSTOP)
    forking.supervisor.hurry()
    await forking.supervisor.stop()
    await eventually(lambda: not any(runs(pid) for pid in pids), "the end of all")


async def test_given_a_command_when_run_to_its_end_then_its_code_and_what_it_said_are_returned(
    forking: Forking,
) -> None:
    await forking.supervisor.wait_ready()
    code, said = await forking.server.run([sys.executable, "-m", "tells"], {"A": "b"})
    assert (code, json.loads(said)["environ"]) == (3, {"A": "b"})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await forking.server.run([sys.executable, "-m", "tells", "wait"], {})
    server = forking.state("forkserver").pid
    assert server is not None
    await eventually(lambda: not descendants(server), "the end of what took too long")


async def test_given_a_module_that_starts_a_thread_when_imported_then_nothing_is_forked_from_that(
    tmp_path: Path,
) -> None:
    forking = Forking(tmp_path, modules=("threads",))
    try:
        await eventually(lambda: forking.state("forkserver").restarts >= 1, "the refusal")
        assert "has started a thread" in (tmp_path / "forkserver.log").read_text()
    finally:
        await forking.supervisor.stop()


async def test_given_a_supervisor_when_killed_then_nothing_that_was_forked_is_left(
    open_state: StateDirectory, supervise: Callable[..., Supervised]
) -> None:
    supervised = supervise(open_state, "forks")
    pids = descendants(supervised.process.pid)
    assert supervised.said["child"] in pids
    supervised.process.kill()
    await eventually(lambda: not any(runs(pid) for pid in pids), "the end of all", 5)
