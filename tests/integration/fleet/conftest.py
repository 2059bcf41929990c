"""State directories in places that matter, and watching what becomes of processes."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ironclaw_fleet.embedded.placement import OUTSIDE
from ironclaw_fleet.statedir import StateDirectory

SUPERVISE = Path(__file__).with_name("supervise.py")
ROOT_FOLDER = Path("/root")


def modes_above(path: Path) -> dict[Path, int]:
    """The modes of every folder above a path."""
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents}


def runs(pid: int) -> bool:
    """Whether a process lives; one that ended and waits for init to take note does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def eventually(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds:g} s") from None


def _remove(folder: Path) -> None:
    pointer = folder / "state" / "postgres" / "location"
    if pointer.exists():
        outside = Path(pointer.read_text())
        assert outside.parent == OUTSIDE
        shutil.rmtree(outside, ignore_errors=True)
    shutil.rmtree(folder)


@pytest.fixture
def open_state() -> Iterator[StateDirectory]:
    """A state directory below folders that every user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="fleet-test-", dir="/tmp"))
    folder.chmod(0o755)
    state = StateDirectory(folder / "state")
    state.create()
    yield state
    _remove(folder)


@pytest.fixture
def closed_state() -> Iterator[StateDirectory]:
    """A state directory below a folder that is closed to others, as root's home is."""
    home = ROOT_FOLDER if os.geteuid() == 0 else Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix="fleet-test-", dir=home))
    state = StateDirectory(folder / "state")
    state.create()
    yield state
    _remove(folder)


class Supervised:
    """A supervisor in another process, and what it said."""

    def __init__(self, process: "subprocess.Popen[str]", said: dict[str, Any]) -> None:
        self.process = process
        self.said = said


@pytest.fixture
def supervise() -> Iterator[Callable[..., Supervised]]:
    """Start supervisors in processes of their own; those that are left at the end are stopped."""
    started: list[subprocess.Popen[str]] = []

    def start(
        state: StateDirectory,
        what: str,
        *,
        words: tuple[str, ...] = (),
        python: tuple[str, ...] = (sys.executable, str(SUPERVISE)),
        user: int | None = None,
    ) -> Supervised:
        process = subprocess.Popen(
            [*words, *python, str(state.path), what],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, f"the supervisor did not start:\n{process.stderr.read()}"
        return Supervised(process, json.loads(line))

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
