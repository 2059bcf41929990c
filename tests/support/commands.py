"""The `ironclaw` command in forks of one process that has imported it: each start would import it again for half a second.

    python -m tests.support.commands SOCKET

takes a message a command over the socket (a descriptor), with five descriptors: the job, standard input, output
and error, and a socket for the answers: the command's pid, then its exit code. It ends when the socket closes.
"""

import functools
import gc
import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from msgspec import Struct

_DESCRIPTORS = 5
_PRELOADED = (
    *("ironclaw_fleet.cli.demo", "ironclaw_fleet.cli.backup", "ironclaw_fleet.conformance.run"),
    *("ironclaw_chassis.client", "rich.console", "rich.live", "rich.table", "rich.text"),
)
"""What verbs import when they run."""


class Job(Struct, frozen=True):
    """A command as `subprocess.run` would have it."""

    arguments: tuple[str, ...]
    env: dict[str, str]
    cwd: str


def run_command(
    arguments: tuple[str, ...], env: Mapping[str, str], stdin: str | None, seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run `ironclaw ARGUMENTS...` in this environment to its end.

    Raises `subprocess.TimeoutExpired` when it takes longer; it is killed then.
    """
    job = msgspec.json.encode(Job(arguments, dict(env), str(Path.cwd())))
    ours, theirs = socket.socketpair()
    with (
        ours,
        _holding(job) as said,
        _holding((stdin or "").encode()) as asked,
        _holding() as out,
        _holding() as err,
    ):
        with theirs:
            descriptors = [file.fileno() for file in (said, asked, out, err)]
            socket.send_fds(_server(), [b"c"], [*descriptors, theirs.fileno()])
        answers = ours.makefile("r")
        pid = int(answers.readline())
        ours.settimeout(seconds)
        try:
            code = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["ironclaw", *arguments], seconds) from None
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            ["ironclaw", *arguments], code, out.read().decode(), err.read().decode()
        )


def _holding(content: bytes = b"") -> BinaryIO:
    file = cast("BinaryIO", os.fdopen(os.memfd_create("command"), "w+b"))
    file.write(content)
    file.seek(0)
    return file


@functools.cache
def _server() -> socket.socket:
    """Start the process from which commands are forked; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.commands", str(theirs.fileno())],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
    return ours


def main() -> None:
    """Import, then fork a command for each message."""
    from ironclaw_fleet.cli import build_app

    tests = socket.socket(fileno=int(sys.argv[1]))
    build_app()
    for module in _PRELOADED:
        importlib.import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise SystemExit("an imported module has started a thread, which a fork would lose")
    gc.freeze()  # else each command's first collection writes to, and so copies, every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for a command ends unwatched
    while True:
        asked, descriptors, _, _ = socket.recv_fds(tests, 1, _DESCRIPTORS)
        if not asked:
            return
        if os.fork() == 0:
            tests.close()
            _serve(*descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _serve(job_file: int, stdin: int, stdout: int, stderr: int, answers: int) -> None:
    """Run one command in a child and tell its pid and its exit code; in the child, be the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        os.write(answers, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    with os.fdopen(job_file, "rb") as file:
        job = msgspec.json.decode(file.read(), type=Job)
    for descriptor, place in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.close(answers)
    os.chdir(job.cwd)
    os.environ.clear()
    os.environ.update(job.env)
    sys.argv = ["ironclaw", *job.arguments]
    runpy.run_module("ironclaw_fleet", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
