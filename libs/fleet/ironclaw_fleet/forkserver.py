"""The fork server: imports once what the services share, and forks each of them from there.

    python -m ironclaw_fleet.forkserver SOCKET MODULE...

It has one thread and no event loop, since a fork copies neither, and no secret: what a child is to run, its
environment among it, lies in a file of which only the child reads. Over the socket (a descriptor) it takes a
byte a fork, with two descriptors: that file, and where the child's output goes. It answers lines:

    ready                    all modules are imported
    forked PID
    refused REASON           the machine has no room for another process
    ended PID CODE           negative for a signal, as in `subprocess`

It ends when the socket closes.
"""

import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from setproctitle import setproctitle

from ironclaw_fleet.process import die_with_parent

FORK = b"f"


class Job(Struct, frozen=True):
    """What a child runs: a module as `python -m` would, in this environment and no other."""

    module: str
    arguments: list[str]
    env: dict[str, str]


def main() -> None:
    """Import, then serve; in a child, run its job."""
    supervisor = socket.socket(fileno=int(sys.argv[1]))
    _show("ironclaw_fleet.forkserver")
    gc.disable()  # a collection here would leave holes, which children then fill page by page
    for module in sys.argv[2:]:
        importlib.import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        sys.stderr.write("fork server: an imported module has started a thread, which a fork would lose\n")
        sys.stderr.flush()
        os._exit(1)  # an exit would wait for the thread
    gc.freeze()  # else each child's first collection writes to, and so copies, every page
    job = _serve(supervisor)
    if job is not None:
        gc.enable()
        runpy.run_module(job.module, run_name="__main__", alter_sys=True)


def _serve(supervisor: socket.socket) -> Job | None:
    """Fork on request until the supervisor is gone. Returns in each child too, with its job."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    bind = die_with_parent(os.getpid())
    supervisor.sendall(b"ready\n")
    while True:
        readable, _, _ = select.select([supervisor, ended], [], [])
        if ended in readable:
            os.read(ended, 4096)
            _reap(supervisor)
        if supervisor in readable:
            asked, descriptors, _, _ = socket.recv_fds(supervisor, len(FORK), 2)
            if not asked:
                return None
            job_file, output = descriptors
            try:
                pid = os.fork()
            except OSError as error:
                supervisor.sendall(f"refused {error.strerror}\n".encode())
            else:
                if pid == 0:
                    supervisor.close()
                    signal.set_wakeup_fd(-1)
                    os.close(ended)
                    os.close(wake)
                    return _become(job_file, output, bind)
                supervisor.sendall(f"forked {pid}\n".encode())
            os.close(job_file)
            os.close(output)


def _reap(supervisor: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        supervisor.sendall(f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def _become(job_file: int, output: int, bind: Callable[[], None]) -> Job:
    """Take on what is a child's own: session, parent's death, output, environment, name."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    bind()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    with os.fdopen(job_file, "rb") as file:
        job = msgspec.json.decode(file.read(), type=Job)
    os.environ.clear()
    os.environ.update(job.env)
    sys.argv = [job.module, *job.arguments]
    _show(job.module, *job.arguments)
    return job


def _show(*words: str) -> None:
    """Be listed by `ps` as what runs here: the arguments of the server would name every service."""
    setproctitle(" ".join([Path(sys.executable).name, "-m", *words]))


if __name__ == "__main__":
    main()
