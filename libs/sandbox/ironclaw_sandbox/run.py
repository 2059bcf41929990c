"""Runs a command in the sandbox: starts the launcher, captures its output, waits for its report."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from msgspec import Struct

import ironclaw_launcher
from ironclaw_launcher.order import Bounds, Failed, Finished, LaunchOrder
from ironclaw_sandbox import bubblewrap
from ironclaw_sandbox.environment import scrubbed
from ironclaw_sandbox.errors import BadPolicy
from ironclaw_sandbox.outcome import Outcome, Output, judge
from ironclaw_sandbox.places import interpreter, locate
from ironclaw_sandbox.policy import (
    INNER_ID,
    LAUNCHER_FOLDER,
    PRIVATE,
    Command,
    Limits,
    Places,
    Policy,
    root_folder,
)
from ironclaw_sandbox.tier import Tier

_LAUNCHER = Path(ironclaw_launcher.__file__).resolve().parent
# Appended, never put first: a module of the standard library must not be found there.
_START = "import sys; sys.path.append(sys.argv[1]); from {} import main; main()"
_ENTRY = "ironclaw_launcher.entry"
_CHUNK_BYTES = 65_536
_LATE_SECONDS = 10.0
"""How long after the wall time the warden may still take to end everything and report."""
_GRACE_SECONDS = 8.0
ARGUMENT_BYTES_MAX = 1024 * 1024


class Sandbox(Struct, frozen=True, kw_only=True):
    """A tier that was chosen for this machine; `bwrap` is the program's path in that tier."""

    tier: Tier
    bwrap: str = ""

    async def run(self, command: Command, policy: Policy) -> Outcome:
        """Run `command` under `policy` until it ends or a limit ends it, and return how.

        Nothing that it started is left when this returns, also when this is cancelled, and none outlives
        this process. Raises `BadPolicy` when the policy or command cannot be granted; all that can happen
        to a command that was granted, is an outcome.
        """
        _check(command)
        environment = scrubbed(os.environ, command.environment, command.search_path)
        places = await asyncio.to_thread(locate, policy, command.folder)
        order = _order(self.tier, command, policy, places, environment)
        return await _run(self, command, policy.limits, order)


def launcher_command(module: str, *arguments: str, folder: str = str(_LAUNCHER.parent)) -> list[str]:
    """Return the command line that runs a module of the launcher, found in `folder`."""
    return [interpreter()[0], "-I", "-S", "-B", "-c", _START.format(module), folder, *arguments]


def _check(command: Command) -> None:
    if not command.argv or not command.argv[0]:
        raise BadPolicy("argv: is empty: give the program and its arguments as a list")
    if any("\x00" in word for word in command.argv):
        raise BadPolicy("argv: an argument holds a NUL character")
    if sum(len(word.encode("utf-8", "surrogateescape")) for word in command.argv) > ARGUMENT_BYTES_MAX:
        raise BadPolicy(f"argv: is longer than {ARGUMENT_BYTES_MAX} bytes: pass it as a file or on stdin")


def _order(
    tier: Tier, command: Command, policy: Policy, places: Places, environment: dict[str, str]
) -> LaunchOrder:
    limits = policy.limits
    return LaunchOrder(
        tier=tier.value,
        argv=list(command.argv),
        environment=environment if tier is not Tier.OFF else {**environment, "HOME": places.worktree},
        folder=places.folder,
        inner_id=INNER_ID,
        network=policy.network,
        mounts=list(root_folder(policy, places)),
        writable=list(places.writable),
        private=list(PRIVATE),
        bounds=Bounds(
            cpu_seconds=limits.cpu_seconds,
            wall_seconds=limits.wall_seconds,
            memory_bytes=limits.memory_bytes,
            processes=limits.processes,
            file_bytes=limits.file_bytes,
            written_bytes=limits.written_bytes,
            free_bytes=limits.free_bytes,
            open_files=limits.open_files,
        ),
    )


def _argv(sandbox: Sandbox, order: LaunchOrder, descriptor: int) -> list[str]:
    if sandbox.tier is not Tier.BUBBLEWRAP:
        return launcher_command(_ENTRY, str(descriptor))
    shown = ["--ro-bind", str(_LAUNCHER), f"{LAUNCHER_FOLDER}/{_LAUNCHER.name}"]
    words = bubblewrap.arguments(order["mounts"], network=order["network"], first=shown)
    inside = launcher_command(_ENTRY, str(descriptor), folder=LAUNCHER_FOLDER)
    return [sandbox.bwrap, *words, "--", *inside]


class _Capture:
    """The kept part of one output stream."""

    def __init__(self, limit_bytes: int) -> None:
        self.kept = bytearray()
        self.full = asyncio.Event()
        self._limit_bytes = limit_bytes

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read to the end even when enough is had: a pipe left full keeps processes from ending."""
        while chunk := await stream.read(_CHUNK_BYTES):
            room = self._limit_bytes - len(self.kept)
            self.kept += chunk[:room]
            if len(chunk) > room:
                self.full.set()


async def _run(sandbox: Sandbox, command: Command, limits: Limits, order: LaunchOrder) -> Outcome:
    stdout, stderr = _Capture(limits.output_bytes), _Capture(limits.output_bytes)
    answer: Failed | Finished | None = None
    overtime = False
    async with _launched(sandbox, order) as (process, reader, writer):
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(limits.wall_seconds + _LATE_SECONDS):
                async with asyncio.TaskGroup() as group:
                    assert process.stdin and process.stdout and process.stderr  # noqa: S101 - all are pipes
                    group.create_task(stdout.read(process.stdout))
                    group.create_task(stderr.read(process.stderr))
                    group.create_task(_feed(process.stdin, command.stdin))
                    tasks += [group.create_task(_stop_when_full(one, writer)) for one in (stdout, stderr)]
                    answer = await _ask(order, reader, writer)
                    for task in tasks:
                        task.cancel()
        except TimeoutError:
            overtime = True
    output = Output(
        stdout=bytes(stdout.kept),
        stderr=bytes(stderr.kept),
        stdout_truncated=stdout.full.is_set(),
        stderr_truncated=stderr.full.is_set(),
    )
    return judge(answer, output, limits, sandbox.tier, overtime)


@contextlib.asynccontextmanager
async def _launched(
    sandbox: Sandbox, order: LaunchOrder
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Start the launcher with its socket; at the end see it, and with it everything inside, gone."""
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *_argv(sandbox, order, theirs.fileno()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={},
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            writer.close()
            raise
    try:
        yield process, reader, writer
    finally:
        # The end of this stream tells the warden to end all; the kernel does, when it is killed.
        writer.close()
        await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
    async with asyncio.timeout(_GRACE_SECONDS):
        await process.wait()


async def _ask(
    order: LaunchOrder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Failed | Finished | None:
    """Hand the order over and return the report; None when the launcher ended without one."""
    with contextlib.suppress(ConnectionError):
        writer.write(json.dumps(order).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
        return json.loads(line) if line.endswith(b"\n") else None
    return None


async def _stop_when_full(capture: _Capture, writer: asyncio.StreamWriter) -> None:
    await capture.full.wait()
    with contextlib.suppress(ConnectionError):
        writer.write(b"stop\n")
        await writer.drain()


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    # The command may end, or close its stdin, before it has read everything, or before anything is written:
    # uvloop has closed the pipe then, and a write would be a RuntimeError.
    if stream.is_closing():
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    stream.close()
