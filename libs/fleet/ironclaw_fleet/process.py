"""A child process as the supervisor knows it, and how it is started so that it never outlives us."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

_PR_SET_PDEATHSIG = 1
_TOLD_SECONDS = 2.0

Probe = Callable[[], Awaitable[bool]]


class Process(Protocol):
    """A process that runs or ran; `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """Its number, which is also its group's."""
        ...

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        ...

    async def wait(self) -> int:
        """Return the exit code, once there is one."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send a signal."""
        ...


class ProcessSpec(Struct, frozen=True, kw_only=True):
    """What to run. `user` is a uid to drop to; `ready` says when others may depend on it.

    `start` starts it in another way than by executing `argv`, and raises `OSError` when it cannot.
    """

    name: str
    argv: list[str]
    env: dict[str, str]
    log_path: Path
    ready: Probe
    depends_on: tuple[str, ...] = ()
    cwd: Path | None = None
    user: int | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 5.0
    ready_seconds: float = 30.0
    start: "Callable[[ProcessSpec], Awaitable[Process]] | None" = None


class Phase(StrEnum):
    """Where a process stands. FAILED: it cannot even be started; `detail` says why, and it is tried again."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPED = "stopped"


class ProcessState(Struct, frozen=True):
    """What a status table shows of a process."""

    name: str
    phase: Phase
    since: datetime
    pid: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    detail: str = field(default="")


def die_with_parent(parent: int) -> Callable[[], None]:
    """Return what a child runs before its program, so that it dies with its parent (a pid).

    Only Linux has this; elsewhere the guardian alone sees to it.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def apply() -> None:
        # Runs in the child after it dropped its user, which clears the setting, and before it executes.
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the setting took hold
            os._exit(1)

    return apply


async def spawn(spec: ProcessSpec, pass_fds: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
    """Start a process in a session of its own, its output appended to its log.

    It inherits the descriptors of `pass_fds`. Raises `OSError` when it cannot be started: no such program or
    folder, or not allowed.
    """
    with spec.log_path.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *spec.argv,
            env=spec.env,
            cwd=spec.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )


async def end(process: Process, number: int, seconds: float, hurry: asyncio.Event | None = None) -> None:
    """End a process politely within some seconds, or until there is hurry; then its group without asking."""
    if process.returncode is None:
        _signal(process.pid, number, group=False)
        waits = [asyncio.create_task(process.wait())]
        if hurry is not None:
            waits.append(asyncio.create_task(hurry.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
    _signal(process.pid, signal.SIGKILL, group=True)
    with contextlib.suppress(TimeoutError):  # of one that was forked, it is told by the fork server only
        async with asyncio.timeout(_TOLD_SECONDS):
            await process.wait()


def _signal(pid: int, number: int, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number) if group else os.kill(pid, number)
