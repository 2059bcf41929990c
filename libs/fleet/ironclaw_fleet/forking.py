"""The supervisor's side of the fork server: one more supervised process, through which others start."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ironclaw_fleet.forkserver import FORK, Job
from ironclaw_fleet.process import Process, ProcessSpec, spawn

IS_AVAILABLE = sys.platform == "linux"
"""Elsewhere a fork that executes no program breaks system libraries, and nothing ends it with its parent."""

_FORK_SECONDS_MAX = 10.0


class Forked:
    """A process that the fork server started, with the surface of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Return the exit code, once there is one."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ended(self, code: int) -> None:
        """Take note of the end."""
        self._ended.set_result(code)


class ForkServer:
    """Starts modules as forks of one process that has imported `modules`; `env` is what that process sees."""

    def __init__(self, modules: Sequence[str], env: Mapping[str, str], log_path: Path) -> None:
        self._modules = modules
        self._env = dict(env)
        self._log_path = log_path
        self._socket: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[int]] = deque()
        self._forked: dict[int, Forked] = {}
        self._is_ready = False

    def spec(self) -> ProcessSpec:
        """Return what the supervisor runs."""
        return ProcessSpec(
            name="forkserver",
            argv=[sys.executable, "-m", "ironclaw_fleet.forkserver"],
            env=self._env,
            log_path=self._log_path,
            ready=self.answers,
            start=self._start,
        )

    async def answers(self) -> bool:
        """Tell whether everything is imported."""
        return self._is_ready

    async def start(self, spec: ProcessSpec) -> Process:
        """Start what a spec says, `PYTHON -m MODULE ARGUMENT...`. Raises `OSError` when it cannot be."""
        with spec.log_path.open("ab") as log:
            return await self._fork(Job(spec.argv[2], spec.argv[3:], spec.env), log.fileno())

    async def run(self, argv: list[str], env: Mapping[str, str]) -> tuple[int, bytes]:
        """Run such a command to its end; return its exit code and what it said. Raises `OSError`."""
        with os.fdopen(os.memfd_create("said"), "w+b") as said:
            process = await self._fork(Job(argv[2], argv[3:], dict(env)), said.fileno())
            try:
                code = await process.wait()
            finally:
                process.send_signal(signal.SIGKILL)
            said.seek(0)
            return code, said.read()

    async def _start(self, spec: ProcessSpec) -> Process:
        ours, theirs = socket.socketpair()
        with theirs:
            argv = [*spec.argv, str(theirs.fileno()), *self._modules]
            process = await spawn(msgspec.structs.replace(spec, argv=argv), pass_fds=(theirs.fileno(),))
        if self._listening is not None:
            await self._listening  # until it knows that the former server is gone
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        self._socket = ours
        self._listening = asyncio.create_task(self._listen(reader, writer), name="forkserver")
        return process

    async def _fork(self, job: Job, output: int) -> Forked:
        if self._socket is None:
            raise ConnectionError("the fork server is away")
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with os.fdopen(os.memfd_create("job"), "w+b") as file:
            file.write(msgspec.json.encode(job))
            file.seek(0)
            socket.send_fds(self._socket, [FORK], [file.fileno(), output])
        self._asked.append(asked)
        async with asyncio.timeout(_FORK_SECONDS_MAX):  # TimeoutError is an OSError
            return self._forked[await asked]

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            word, _, rest = line.decode().strip().partition(" ")
            if word == "ready":
                self._is_ready = True
            elif word == "ended":
                pid, _, code = rest.partition(" ")
                self._forked.pop(int(pid)).ended(int(code))
            else:
                self._answered(word, rest)
        writer.close()
        self._socket, self._is_ready = None, False
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(ConnectionError("the fork server is away"))
        self._asked.clear()
        for process in self._forked.values():  # each dies with its parent
            process.ended(-signal.SIGKILL)
        self._forked.clear()

    def _answered(self, word: str, rest: str) -> None:
        asked = self._asked.popleft()
        if word != "forked":
            if not asked.done():
                asked.set_exception(OSError(f"the fork server cannot fork: {rest}"))
            return
        process = self._forked[int(rest)] = Forked(int(rest))
        if asked.done():  # whoever asked has gone
            process.send_signal(signal.SIGKILL)
        else:
            asked.set_result(process.pid)
