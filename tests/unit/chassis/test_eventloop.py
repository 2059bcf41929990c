"""The loop's own way of starting processes, as `asyncio.create_subprocess_exec` sees it."""

import asyncio
import os
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from ironclaw_chassis.eventloop import EventLoop, loop_name


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(work)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_given_a_program_that_reads_and_writes_when_run_then_all_of_it_comes_through() -> None:
    async def work() -> None:
        script = "import sys; text = sys.stdin.read(); sys.stdout.write(text); sys.stderr.write('said'); sys.exit(3)"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        out, err = await process.communicate(b"x" * 1_000_000)
        assert (len(out), err, process.returncode) == (1_000_000, b"said", 3)

    run(work())


def test_given_a_process_in_a_session_of_its_own_when_its_group_is_killed_then_the_signal_is_told() -> None:
    async def work() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60", stdin=DEVNULL, start_new_session=True)
        os.killpg(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL

    run(work())


def test_given_a_program_that_is_not_there_when_started_then_it_is_the_error_of_that() -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nowhere/program")

    run(work())


def test_given_a_folder_and_an_environment_when_started_then_they_are_the_processs(tmp_path: Path) -> None:
    async def work() -> None:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", 'pwd; echo "$GIVEN"'), cwd=tmp_path, env={"GIVEN": "this"}, stdout=PIPE
        )
        out, _ = await process.communicate()
        assert out.decode().split("\n")[:2] == [str(tmp_path), "this"]

    run(work())


def test_given_many_processes_when_they_have_ended_then_no_descriptor_and_no_zombie_is_left() -> None:
    async def one(number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", f"exit {number}"), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        await process.communicate()
        return process.pid

    async def work() -> None:
        await one(0)
        before = descriptors()
        pids = [await asyncio.gather(*(one(number) for number in range(20))) for _ in range(3)]
        await asyncio.sleep(0)
        assert descriptors() == before
        assert not any(Path(f"/proc/{pid}").exists() for batch in pids for pid in batch)

    run(work())


def test_given_a_caller_that_is_cancelled_when_it_waits_then_the_process_can_still_be_ended() -> None:
    async def work() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        waiting = asyncio.create_task(process.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        process.kill()
        assert await process.wait() == -signal.SIGKILL

    run(work())


def test_given_a_kernel_without_pidfds_when_the_loop_is_chosen_then_it_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert loop_name() == "ironclaw_chassis.eventloop:EventLoop"

    def refused(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refused)
    assert loop_name() == "uvloop"


def test_given_threads_that_open_files_when_processes_end_then_no_descriptor_of_theirs_is_closed() -> None:
    over, lost = threading.Event(), list[OSError]()

    def open_and_close() -> None:
        while not over.is_set():
            opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
            for descriptor in opened:
                try:
                    os.close(descriptor)
                except OSError as error:
                    lost.append(error)

    async def one() -> None:
        process = await asyncio.create_subprocess_exec("echo", "x", stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        assert await process.communicate() == (b"x\n", b"")

    async def work() -> None:
        for _ in range(100):
            await asyncio.gather(*(one() for _ in range(4)))

    threads = [threading.Thread(target=open_and_close) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads get their turn between any two steps
    for thread in threads:
        thread.start()
    try:
        run(work())
    finally:
        over.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()
    assert lost == []
