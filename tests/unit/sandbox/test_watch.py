"""What the warden reads from /proc and which limit that breaks; the answers it sends and how they are judged."""

import os
import signal

import pytest

from ironclaw_launcher import watch
from ironclaw_launcher.order import Bounds, Cause, Failed, Finished
from ironclaw_sandbox import Ended, Limits, Tier
from ironclaw_sandbox.outcome import Output, judge

BOUNDS = Bounds(
    cpu_seconds=10,
    wall_seconds=20,
    memory_bytes=1000,
    processes=5,
    file_bytes=1,
    written_bytes=100,
    free_bytes=50,
    open_files=16,
)


def stat_line(
    pid: int, name: str, parent: int, threads: int = 1, ticks: tuple[int, ...] = (1, 2, 3, 4)
) -> str:
    middle = " ".join(["0"] * 9)
    return f"{pid} ({name}) S {parent} {middle} {' '.join(map(str, ticks))} 20 0 {threads} 0 100"


@pytest.mark.parametrize("name", ["sh", "a b", ")", ") S 1 ((", ") R 99 99"])
def test_given_any_name_of_a_process_when_its_line_is_read_then_the_name_deceives_nobody(name: str) -> None:
    task = watch.parse_stat(stat_line(7, name, 3, threads=4))
    assert (task.parent, task.threads) == (3, 4)
    assert task.cpu_seconds == 10 / os.sysconf("SC_CLK_TCK")


def test_given_this_process_when_its_own_line_is_read_then_it_is_so() -> None:
    mine = watch.tasks()[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.cpu_seconds > 0


def test_given_files_of_proc_when_they_are_read_then_units_are_known_and_removed_files_do_not_count() -> None:
    status = "Name:\tx\nRssAnon:\t  100 kB\nRssFile:\t 7 kB\nRssShmem:\t 1 kB\nVmSwap:\t 2 kB\n"
    assert watch.parse_bytes(status, ("RssAnon", "RssShmem", "VmSwap")) == 103 * 1024
    assert watch.parse_written("wchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 96\n") == 4000
    assert watch.parse_written("") == 0
    header = "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n"
    row = "0 {} 600 9 1 1 {} 0 0 0 0 0 0 0 {} 0\n"
    assert watch.parse_detached(header + row.format(1, 0, 4096) + row.format(2, 1, 8192)) == 4096
    assert watch.parse_detached("") == 0


def test_given_a_tree_of_processes_when_those_below_are_sought_then_strangers_and_oneself_are_not_among_them() -> (
    None
):
    parents = {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 9: 0}
    tasks = {pid: watch.Task(parent, 1, 0.0) for pid, parent in parents.items()}
    assert sorted(watch.descendants(tasks, 2)) == [3, 4]
    assert sorted(watch.descendants(tasks, 1)) == [2, 3, 4, 5]
    assert watch.descendants(tasks, 4) == []


@pytest.mark.parametrize(
    ("sample", "wall_seconds", "cause"),
    [
        (watch.Sample(5, 1000, 10, 100, 50), 20, None),
        (watch.Sample(processes=6), 0, "process_limit"),
        (watch.Sample(memory_bytes=1001), 0, "memory_limit"),
        (watch.Sample(cpu_seconds=10.1), 0, "cpu_limit"),
        (watch.Sample(written_bytes=101), 0, "disk_limit"),
        (watch.Sample(free_bytes=49), 0, "disk_limit"),
        (watch.Sample(free_bytes=None), 0, None),
        (watch.Sample(), 20.1, "timeout"),
    ],
)
def test_given_a_sample_when_it_is_judged_then_the_bound_itself_is_still_allowed(
    sample: watch.Sample, wall_seconds: float, cause: Cause | None
) -> None:
    assert watch.breach(sample, BOUNDS, wall_seconds) == cause


def finished(cause: Cause = "exited", status: int = 0) -> Finished:
    return Finished(
        cause=cause,
        status=status,
        wall_seconds=1,
        user_seconds=2,
        system_seconds=3,
        memory_bytes_max=4,
        processes_max=5,
        written_bytes=6,
    )


CUT = Output(stdout=b"x", stdout_truncated=True)


@pytest.mark.parametrize(
    ("answer", "output", "overtime", "ended", "said"),
    [
        (finished(), Output(), False, Ended.EXITED, "exit code 0"),
        (finished(status=3 << 8), Output(), False, Ended.EXITED, "exit code 3"),
        (finished(status=int(signal.SIGSEGV)), Output(), False, Ended.SIGNAL, "signal 11"),
        (finished(status=int(signal.SIGXCPU)), Output(), False, Ended.CPU_LIMIT, "CPU"),
        (finished(status=int(signal.SIGXFSZ)), Output(), False, Ended.FILE_LIMIT, "file"),
        (finished("timeout"), Output(), False, Ended.TIMEOUT, "600 s"),
        (finished("cpu_limit"), Output(), False, Ended.CPU_LIMIT, "CPU"),
        (finished("memory_limit"), Output(), False, Ended.MEMORY_LIMIT, "memory"),
        (finished("process_limit"), Output(), False, Ended.PROCESS_LIMIT, "processes"),
        (finished("disk_limit"), Output(), False, Ended.DISK_LIMIT, "written"),
        (finished("stopped"), CUT, False, Ended.OUTPUT_LIMIT, "stdout"),
        (finished(), CUT, False, Ended.OUTPUT_LIMIT, "stdout"),
        (None, Output(), True, Ended.TIMEOUT, "did not answer"),
        (None, Output(stderr=b"bwrap: no"), False, Ended.COULD_NOT_RUN, "bwrap: no"),
        (
            Failed(failed="setup", number=1, message="mount"),
            Output(),
            False,
            Ended.COULD_NOT_RUN,
            "built: mount",
        ),
        (
            Failed(failed="start", number=2, message="gone"),
            Output(),
            False,
            Ended.COULD_NOT_RUN,
            "start: gone: it is not installed",
        ),
    ],
)
def test_given_what_came_of_a_command_when_it_is_judged_then_its_end_has_one_name(
    answer: Failed | Finished | None, output: Output, overtime: bool, ended: Ended, said: str
) -> None:
    outcome = judge(answer, output, Limits(), Tier.LANDLOCK, overtime)
    assert outcome.ended is ended
    assert said in outcome.reason
    assert (outcome.exit_code is not None) == (ended is Ended.EXITED)
    assert (outcome.signal is not None) == (ended is Ended.SIGNAL)
    assert outcome.ok == (outcome.reason == "exit code 0")
