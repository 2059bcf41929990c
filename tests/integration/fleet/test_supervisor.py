"""Child processes: their order, their restarts, their end, and that none is left behind."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from ironclaw_fleet.backoff import delay, failures_after
from ironclaw_fleet.logfile import rotate
from ironclaw_fleet.process import Phase, ProcessSpec, ProcessState, die_with_parent
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import NotReady, Supervisor
from tests.integration.fleet.conftest import Supervised, eventually, runs

PATH = {"PATH": "/usr/bin:/bin"}


class Watched:
    """A supervisor whose changes are written down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: list[ProcessState] = []
        self.supervisor = Supervisor(self.changes.append)

    def add(self, name: str, script: str, *, after: tuple[str, ...] = (), stop_seconds: float = 5.0) -> None:
        """Add a shell script that is ready once it made the file `<name>.ready`."""
        made = self.folder / f"{name}.ready"

        async def ready() -> bool:
            return made.exists()

        self.supervisor.add(
            ProcessSpec(
                name=name,
                argv=["/bin/sh", "-c", script],
                env=PATH,
                cwd=self.folder,
                log_path=self.folder / f"{name}.log",
                ready=ready,
                depends_on=after,
                stop_seconds=stop_seconds,
                ready_seconds=20,
            )
        )

    def order(self) -> list[tuple[str, Phase]]:
        return [(change.name, change.phase) for change in self.changes]

    def state(self, name: str) -> ProcessState:
        return next(state for state in self.supervisor.states() if state.name == name)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    found = Watched(tmp_path)
    yield found
    await found.supervisor.stop()


async def test_given_dependencies_when_started_then_each_waits_and_independent_ones_do_not(
    watched: Watched,
) -> None:
    watched.add("database", "sleep 0.3; touch database.ready; exec sleep 60")
    watched.add(
        "service", "test -e database.ready && touch service.ready; exec sleep 60", after=("database",)
    )
    watched.add("other", "touch other.ready; exec sleep 60")
    await watched.supervisor.wait_ready()
    order = watched.order()
    assert order.index(("database", Phase.READY)) < order.index(("service", Phase.STARTING))
    assert order.index(("other", Phase.READY)) < order.index(("database", Phase.READY))


async def test_given_a_cycle_or_an_unknown_dependency_when_added_then_it_is_refused_by_name(
    watched: Watched,
) -> None:
    with pytest.raises(ValueError, match="b depends on a: add that first"):
        watched.add("b", "exec sleep 60", after=("a",))
    watched.add("a", "touch a.ready; exec sleep 60")
    with pytest.raises(ValueError, match="a already"):
        watched.add("a", "exec sleep 60")


async def test_given_a_ready_child_when_killed_then_it_is_started_again(watched: Watched) -> None:
    watched.add("service", "touch service.ready; exec sleep 60")
    await watched.supervisor.wait_ready()
    before = watched.state("service").pid
    watched.supervisor.kill("service", signal.SIGKILL)
    await eventually(lambda: watched.state("service").restarts == 1, "the restart")
    await watched.supervisor.wait_ready()
    after = watched.state("service")
    assert after.phase is Phase.READY
    assert after.pid not in {None, before}
    ends = [change.exit_code for change in watched.changes if change.phase is Phase.BACKOFF]
    assert ends == [-signal.SIGKILL]


async def test_given_a_child_that_dies_at_once_when_restarted_then_the_waits_grow(watched: Watched) -> None:
    watched.add("service", "date +%s.%N >> starts; exit 3")
    await eventually(lambda: watched.state("service").restarts == 4, "four ends")
    starts = [float(line) for line in (watched.folder / "starts").read_text().split()]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps[0] >= delay(1, was_ready=False)
    assert gaps[1] >= delay(2, was_ready=False)
    assert gaps[2] >= delay(3, was_ready=False)
    assert watched.state("service").exit_code == 3


def test_given_failures_in_a_row_when_the_wait_is_asked_then_it_doubles_up_to_a_cap_and_is_forgiven() -> None:
    assert [delay(failures, was_ready=False) for failures in range(1, 5)] == [0.2, 0.4, 0.8, 1.6]
    assert delay(7, was_ready=False) == delay(10_000, was_ready=False) == 10.0
    assert [delay(failures, was_ready=True) for failures in (1, 2, 3, 4, 10_000)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert failures_after(6, lived_seconds=29.0) == 7
    assert failures_after(6, lived_seconds=31.0) == 1


async def test_given_a_restart_when_its_dependency_is_away_then_it_waits_for_it(watched: Watched) -> None:
    slow_again = "test -e again && sleep 1; touch again database.ready; exec sleep 60"
    watched.add("database", slow_again)
    watched.add("service", "touch service.ready; exec sleep 60", after=("database",))
    await watched.supervisor.wait_ready()
    (watched.folder / "database.ready").unlink()
    watched.changes.clear()
    watched.supervisor.kill("database", signal.SIGKILL)
    await eventually(lambda: watched.state("database").restarts == 1, "the database's end")
    watched.supervisor.kill("service", signal.SIGKILL)
    await eventually(lambda: watched.state("service").restarts == 1, "the service's end")
    await watched.supervisor.wait_ready()
    order = watched.order()
    assert order.index(("database", Phase.READY)) < order.index(("service", Phase.STARTING))


async def test_given_a_program_that_is_not_there_when_awaited_then_the_error_names_it_and_it_is_tried_again(
    watched: Watched,
) -> None:
    program = watched.folder / "program"

    async def ready() -> bool:
        return True

    spec = ProcessSpec(
        name="late", argv=[str(program)], env=PATH, log_path=watched.folder / "late.log", ready=ready
    )
    watched.supervisor.add(spec)
    with pytest.raises(NotReady, match=f"late cannot be started.*{program}"):
        await watched.supervisor.wait_ready()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    await eventually(lambda: watched.state("late").phase is Phase.READY, "the late program")


async def test_given_a_probe_that_breaks_when_it_is_mended_then_the_process_becomes_ready(
    watched: Watched,
) -> None:
    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("the probe broke")
        return True

    watched.supervisor.add(
        ProcessSpec(
            name="x", argv=["/bin/sleep", "60"], env=PATH, log_path=watched.folder / "x.log", ready=ready
        )
    )
    await watched.supervisor.wait_ready()
    assert asked == 2


async def test_given_dependents_when_stopped_then_they_end_before_what_they_need(watched: Watched) -> None:
    watched.add("database", "echo $$ > database.pid; touch database.ready; exec sleep 60")
    trap = "trap 'kill -0 $(cat database.pid) && touch database.outlived; exit 0' TERM"
    watched.add("service", f"{trap}; touch service.ready; while :; do sleep 0.05; done", after=("database",))
    await watched.supervisor.wait_ready()
    await watched.supervisor.stop()
    assert (watched.folder / "database.outlived").exists()
    order = watched.order()
    assert order.index(("service", Phase.STOPPED)) < order.index(("database", Phase.STOPPED))


async def test_given_a_child_that_ignores_sigterm_when_stopped_then_it_and_its_children_are_killed_in_time(
    watched: Watched,
) -> None:
    watched.add(
        "deaf",
        "trap '' TERM; sleep 60 & echo $! > child; touch deaf.ready; while :; do sleep 0.05; done",
        stop_seconds=0.5,
    )
    await watched.supervisor.wait_ready()
    pid, child = watched.state("deaf").pid, int((watched.folder / "child").read_text())
    assert pid is not None
    started = time.monotonic()
    await watched.supervisor.stop()
    assert 0.4 < time.monotonic() - started < 4
    assert not runs(pid)
    await eventually(lambda: not runs(child), "the end of the child's child")
    assert watched.state("deaf").exit_code == -signal.SIGKILL


async def test_given_a_slow_stop_when_there_is_hurry_then_it_ends_at_once(watched: Watched) -> None:
    watched.add("deaf", "trap '' TERM; touch deaf.ready; while :; do sleep 0.05; done", stop_seconds=60)
    await watched.supervisor.wait_ready()
    stopping = asyncio.create_task(watched.supervisor.stop())
    await asyncio.sleep(0.2)
    assert not stopping.done()
    watched.supervisor.hurry()
    async with asyncio.timeout(5):
        await stopping
    assert watched.state("deaf").phase is Phase.STOPPED


async def test_given_a_child_that_died_when_its_own_children_live_on_then_they_are_killed_before_the_restart(
    watched: Watched,
) -> None:
    watched.add("parent", "sleep 60 & echo $! >> children; touch parent.ready; exec sleep 60")
    await watched.supervisor.wait_ready()
    left = int((watched.folder / "children").read_text().split()[0])
    watched.supervisor.kill("parent", signal.SIGKILL)
    await eventually(lambda: watched.state("parent").restarts == 1, "the restart")
    await eventually(lambda: not runs(left), "the end of what the dead process left")


async def test_given_many_ends_and_a_stop_when_our_children_are_listed_then_there_is_no_zombie(
    watched: Watched,
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    watched.add("short", "exit 0")
    watched.add("long", "touch long.ready; exec sleep 60")
    await eventually(lambda: watched.state("short").restarts >= 2, "two ends")
    await watched.supervisor.wait_ready("long")
    await watched.supervisor.stop()
    assert {child.pid for child in psutil.Process().children()} <= before


async def test_given_a_supervisor_when_killed_then_no_child_and_no_child_of_a_child_is_left(
    open_state: StateDirectory, supervise: Callable[..., Supervised]
) -> None:
    supervised = supervise(open_state, "family")
    child, grandchild = supervised.said["child"], supervised.said["grandchild"]
    assert runs(child)
    assert runs(grandchild)
    supervised.process.kill()
    await eventually(lambda: not runs(child), "the end of the child")
    await eventually(lambda: not runs(grandchild), "the end of the grandchild")


async def test_given_a_killed_guardian_when_the_supervisor_is_killed_then_its_successor_ends_what_is_left(
    watched: Watched, open_state: StateDirectory, supervise: Callable[..., Supervised]
) -> None:
    supervised = supervise(open_state, "family")
    mine = psutil.Process(supervised.process.pid).children()
    guardian = next(child for child in mine if child.pid != supervised.said["child"])
    guardian.kill()
    os.kill(supervised.said["child"], signal.SIGKILL)  # its restart is what the supervisor tells of next
    first = supervised.said["grandchild"]
    file = open_state.run / "grandchild"
    await eventually(lambda: file.read_text().strip() not in {"", str(first)}, "the restart")
    grandchild = int(file.read_text())
    await eventually(lambda: len(psutil.Process(supervised.process.pid).children()) == 2, "the successor")
    supervised.process.kill()
    await eventually(lambda: not runs(first) and not runs(grandchild), "the end of both grandchildren")


def test_given_a_parent_that_died_before_the_child_was_bound_to_it_when_the_child_begins_then_it_ends() -> (
    None
):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    child = subprocess.Popen(["/bin/sleep", "60"], preexec_fn=die_with_parent(gone.pid))
    assert child.wait(5) == 1


def test_given_a_growing_log_when_rotated_then_the_writer_goes_on_and_both_files_are_bounded(
    tmp_path: Path,
) -> None:
    log = tmp_path / "noisy.log"
    with log.open("ab") as file:
        writer = subprocess.Popen(
            ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; done"], stdout=file
        )
    try:
        former = 0
        for _ in range(3):
            deadline = time.monotonic() + 10
            while log.stat().st_size <= 20_000:
                assert time.monotonic() < deadline, "the writer stopped"
                time.sleep(0.005)
            assert rotate(log, bytes_max=20_000)
            aside = (tmp_path / "noisy.log.1").read_bytes()
            assert aside.count(b"\0") == 0
            numbers = [int(line.split()[1]) for line in aside.splitlines()[1:-1]]
            assert numbers[0] > former
            former = numbers[-1]
    finally:
        writer.kill()
        writer.wait()
    assert b"\0" not in log.read_bytes()
    assert not rotate(log, bytes_max=10**9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.log", "noisy.log.1"]
