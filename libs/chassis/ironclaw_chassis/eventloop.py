"""The event loop of a service: uvloop, but for how it starts processes.

uvloop forks, and runs Python's hooks in the child: with the libraries of a service in memory that takes
several milliseconds of both, for each git process. `subprocess.Popen` uses vfork(2), which copies nothing.
"""

import asyncio
import os
import subprocess
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable
from io import FileIO
from typing import IO, Any, TypeVar

import uvloop

_P = TypeVar("_P", bound=asyncio.SubprocessProtocol)


def loop_name() -> str:
    """Return the loop to serve on, as uvicorn takes it: ours where the kernel and its filters give pidfds."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return "uvloop"
    return f"{__name__}:{EventLoop.__name__}"


def _given_away(pipe: IO[bytes]) -> FileIO:
    """Return a pipe for libuv, which closes the descriptor of each one that it has had.

    uvloop closes the file after that once more, and by then the number may be that of a file or connection
    which a thread has just opened.
    """
    with pipe:
        return FileIO(os.dup(pipe.fileno()), pipe.mode, closefd=False)


class _Process(BaseSubprocessTransport):
    """A process of `subprocess.Popen`; its end is told by a pidfd (pidfd_open(2)), which is Linux's."""

    _loop: asyncio.AbstractEventLoop

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        process: subprocess.Popen[Any] = subprocess.Popen(
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
        )
        process.stdin, process.stdout, process.stderr = (
            None if pipe is None else _given_away(pipe)
            for pipe in (process.stdin, process.stdout, process.stderr)
        )
        self._proc = process
        ending = os.pidfd_open(process.pid)

        def ended() -> None:
            self._loop.remove_reader(ending)
            os.close(ending)
            self._process_exited(process.wait())

        self._loop.add_reader(ending, ended)


class EventLoop(uvloop.Loop):
    """Starts processes as `asyncio.create_subprocess_exec` asks for them."""

    async def subprocess_exec(  # pyright: ignore[reportIncompatibleMethodOverride] - the stub errs
        self, protocol_factory: Callable[[], _P], program: Any, *args: Any, **kwargs: Any
    ) -> tuple[asyncio.BaseTransport, _P]:
        """Start a process; options are those of `subprocess.Popen`, pipes unless told otherwise."""
        pipes = {name: kwargs.pop(name, subprocess.PIPE) for name in ("stdin", "stdout", "stderr")}
        protocol = protocol_factory()
        started = self.create_future()
        transport = _Process(
            self, protocol, (program, *args), False, **pipes, bufsize=0, waiter=started, **kwargs
        )
        try:
            await started
        except BaseException:
            transport.close()
            raise
        return transport, protocol
