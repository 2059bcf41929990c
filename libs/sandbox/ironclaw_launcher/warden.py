"""Process 1 of a sandbox: starts the command under its limits, watches, ends everything, reports."""

import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import time
from typing import NoReturn

from ironclaw_launcher import landlock, seccomp, syscalls, watch
from ironclaw_launcher.order import Bounds, Cause, Failed, Finished, LaunchOrder, Stage

_POLL_SECONDS = 0.05
_POLL_SHARE = 20
"""A pause is at least this many times as long as the sample before it: watching costs at most 5 %."""
_END_SECONDS = 5.0
_FAILED_EXIT = 127
_KERNEL_COUNTS_BY_NAMESPACE = (5, 14)
"""Since then RLIMIT_NPROC counts the user's processes in this user namespace, not on the whole machine."""


def answer(channel: socket.socket, message: Failed | Finished) -> None:
    """Send one line to the caller; it may be gone."""
    with contextlib.suppress(OSError):
        channel.sendall(json.dumps(message).encode() + b"\n")


def failure(stage: Stage, problem: Exception) -> Failed:
    """Return the answer for a sandbox or a command that could not be started."""
    number, message = 0, str(problem)
    if isinstance(problem, OSError):
        number = problem.errno or 0
        # What exec tried last, of all folders of the search path, would only mislead.
        message = (problem.strerror or message) if stage == "start" else message
    return Failed(failed=stage, number=number, message=message[:500])


def guard(order: LaunchOrder, channel: socket.socket) -> None:
    """Run the order's command to its end, whatever that is, and answer once on `channel`."""
    alone = order["tier"] != "off"
    _take_signals()
    watcher = watch.Watch(order["writable"], alone=alone)
    syscalls.hide_from_siblings()
    if not alone:
        syscalls.adopt_orphans()
    child, problem = _start(order)
    if problem is not None:
        answer(channel, problem)
        return
    began = time.monotonic()
    cause, status = _until_end(child, channel, order["bounds"], watcher, began)
    _end_all(alone=alone)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = watcher.written_bytes()
    if cause == "exited":
        # What was quicker than the watch counts all the same.
        total = watch.Sample(cpu_seconds=used.ru_utime + used.ru_stime, written_bytes=written)
        cause = watch.breach(total, order["bounds"], 0.0) or cause
    finished = Finished(
        cause=cause,
        status=status,
        wall_seconds=time.monotonic() - began,
        user_seconds=used.ru_utime,
        system_seconds=used.ru_stime,
        memory_bytes_max=max(watcher.memory_bytes_max, used.ru_maxrss * 1024),
        processes_max=max(watcher.processes_max, 1),
        written_bytes=max(written, 0),
    )
    answer(channel, finished)


def _take_signals() -> None:
    """Let a child's end wake the loop, and nothing else interrupt it: those inside may signal process 1."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, lambda *_: None)


def _start(order: LaunchOrder) -> tuple[int, Failed | None]:
    """Fork and exec the command; return its process id, or why there is none."""
    trouble, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(trouble)
        _become(order, told)
    os.close(told)
    with os.fdopen(trouble, "rb") as pipe:
        said = pipe.read()
    if not said:
        return child, None
    os.waitpid(child, 0)
    return child, json.loads(said)


def _become(order: LaunchOrder, told: int) -> NoReturn:
    """Turn this process into the command. Whatever fails is told through the pipe, which closes on exec."""
    stage: Stage = "setup"
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        _keep_only(told)
        _limit(order["bounds"], alone=order["tier"] != "off")
        if order["tier"] != "off":
            _confine(order)
        os.chdir(order["folder"])
        stage = "start"
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - never a shell
    except Exception as problem:
        os.write(told, json.dumps(failure(stage, problem)).encode())
    os._exit(_FAILED_EXIT)


def _keep_only(descriptor: int) -> None:
    """Close every descriptor but the standard ones and `descriptor`: what leaks in would leak out."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        if int(name) not in {0, 1, 2, descriptor}:
            with contextlib.suppress(OSError):  # the one that read the folder
                os.close(int(name))


def _confine(order: LaunchOrder) -> None:
    syscalls.forbid_new_privileges()
    scopes = False
    with contextlib.suppress(OSError):
        scopes = syscalls.landlock_abi() >= landlock.ABI_SCOPES
    if order["tier"] == "landlock" or _has_landlock():
        landlock.confine(["/"], [*order["writable"], *order["private"]])
    # With the host's network come the host's abstract sockets, unless Landlock keeps them apart.
    filtered = seccomp.program(os.uname().machine, unix_sockets=scopes or not order["network"])
    syscalls.install_filter(filtered)


def _has_landlock() -> bool:
    try:
        return syscalls.landlock_abi() >= landlock.ABI_NEEDED
    except OSError:
        return False


def _limit(bounds: Bounds, *, alone: bool) -> None:
    cpu = int(bounds["cpu_seconds"]) + 1
    limits = [
        (resource.RLIMIT_CPU, cpu),
        # Not the address space: runtimes reserve far more than they touch. What is writable counts here.
        # Twice, because the stacks of threads count whole, touched or not; the watch counts what is touched.
        (resource.RLIMIT_DATA, 2 * bounds["memory_bytes"]),
        (resource.RLIMIT_FSIZE, bounds["file_bytes"]),
        (resource.RLIMIT_NOFILE, bounds["open_files"]),
        (resource.RLIMIT_MEMLOCK, 0),
        # One byte: zero would still feed a core handler of the host (core(5), "piping core dumps").
        (resource.RLIMIT_CORE, 1),
    ]
    if alone and _kernel() >= _KERNEL_COUNTS_BY_NAMESPACE:
        limits.append((resource.RLIMIT_NPROC, bounds["processes"]))
    for which, amount in limits:
        _, hard = resource.getrlimit(which)
        capped = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(which, (capped, capped))


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def _until_end(
    child: int, channel: socket.socket, bounds: Bounds, watcher: watch.Watch, began: float
) -> tuple[Cause, int]:
    """Return why it is over, and the command's wait status when it ended by itself (else 0)."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    pause = _POLL_SECONDS
    deadline = 0.0
    while True:
        ready, _, _ = select.select([channel, woken], [], [], max(deadline - time.monotonic(), 0.0))
        if woken in ready:
            os.read(woken, 4096)
        status = _reap(child)
        if status is not None:
            return "exited", status
        if channel in ready:
            # A word or the end of the stream: the caller wants the end, or is no more.
            return "stopped", 0
        now = time.monotonic()
        if now < deadline:
            continue
        cause = watch.breach(watcher.sample(bounds), bounds, now - began)
        if cause is not None:
            return cause, 0
        pause = max(_POLL_SECONDS, _POLL_SHARE * (time.monotonic() - now))
        deadline = min(time.monotonic() + pause, began + bounds["wall_seconds"] + _POLL_SECONDS)


def _reap(child: int) -> int | None:
    """Collect all who ended; return the command's wait status when it is among them."""
    found: int | None = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def _end_all(*, alone: bool) -> None:
    """Kill and reap every process below this one; give up after a while on what the kernel holds."""
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        if alone and os.getpid() == 1:
            # From process 1 this reaches its namespace and nothing else; a fork under way is undone too.
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for pid in watch.descendants(watch.tasks(), os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
            time.sleep(0.002)
            continue
        return
