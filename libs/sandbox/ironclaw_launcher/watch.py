"""What all processes below the warden use together, read from /proc, and which limit that breaks."""

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ironclaw_launcher.order import Bounds, Cause

_PROC_BYTES_MAX = 1024 * 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Task(NamedTuple):
    """One process, as /proc/<pid>/stat has it; the time includes that of its reaped children."""

    parent: int
    threads: int
    cpu_seconds: float


class Sample(NamedTuple):
    """The sum over all processes. `written_bytes` went to a disk, `processes` counts threads too."""

    processes: int = 0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0
    written_bytes: int = 0
    free_bytes: int | None = None


def parse_stat(text: str) -> Task:
    """Read a line of /proc/<pid>/stat; the command in parentheses may hold anything (proc(5))."""
    fields = text[text.rindex(")") + 2 :].split()
    return Task(int(fields[1]), int(fields[17]), sum(map(int, fields[11:15])) / _TICKS_PER_SECOND)


def parse_bytes(text: str, names: Iterable[str]) -> int:
    """Add up the lines `Name:   123 kB` (or without a unit: bytes) of a file in /proc."""
    wanted, total = frozenset(names), 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in wanted:
            number = value.split()
            total += int(number[0]) * (1024 if number[-1] == "kB" else 1)
    return total


def parse_written(text: str) -> int:
    """Read /proc/<pid>/io: bytes sent to a disk, less those whose file was removed before."""
    return parse_bytes(text, ["write_bytes"]) - parse_bytes(text, ["cancelled_write_bytes"])


def parse_detached(text: str) -> int:
    """Read /proc/sysvipc/shm: memory of segments that no process has attached."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return sum(int(row[14]) for row in rows if len(row) > 14 and row[6] == "0")


def descendants(tasks: Mapping[int, Task], root: int) -> list[int]:
    """Return the processes below `root`."""
    children: dict[int, list[int]] = {}
    for pid, task in tasks.items():
        children.setdefault(task.parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def breach(sample: Sample, bounds: Bounds, wall_seconds: float) -> Cause | None:
    """Return which limit is broken, if any."""
    if sample.processes > bounds["processes"]:
        return "process_limit"
    if sample.memory_bytes > bounds["memory_bytes"]:
        return "memory_limit"
    if sample.cpu_seconds > bounds["cpu_seconds"]:
        return "cpu_limit"
    if sample.written_bytes > bounds["written_bytes"]:
        return "disk_limit"
    if sample.free_bytes is not None and sample.free_bytes < bounds["free_bytes"]:
        return "disk_limit"
    return "timeout" if wall_seconds > bounds["wall_seconds"] else None


def _text(path: str) -> str:
    """Return a file of /proc; empty when its process is gone or hides it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    text = bytearray()
    try:
        while len(text) < _PROC_BYTES_MAX and (part := os.read(descriptor, _PROC_BYTES_MAX)):
            text += part
        return text.decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def tasks() -> dict[int, Task]:
    """Return every process that /proc shows."""
    lines = {int(name): _text(f"/proc/{name}/stat") for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208
    return {pid: parse_stat(line) for pid, line in lines.items() if line}


class Watch:
    """Samples the processes below this one. Made before the process hides itself, then used by it alone."""

    def __init__(self, writable: Iterable[str], *, alone: bool) -> None:
        """`writable` are the folders whose disks must keep space; `alone` in a process namespace."""
        self._own_io = os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
        self._writable = tuple(writable)
        self._alone = alone
        self.processes_max = 0
        self.memory_bytes_max = 0

    def written_bytes(self) -> int:
        """Return what this process and all its reaped descendants wrote to a disk."""
        return parse_written(os.pread(self._own_io, 4096, 0).decode("ascii"))

    def sample(self, bounds: Bounds) -> Sample:
        """Return what is used now; costly figures are read only when a limit seems broken."""
        everyone = tasks()
        below = descendants(everyone, os.getpid())
        processes = sum(everyone[pid].threads for pid in below)
        self.processes_max = max(self.processes_max, processes)
        if processes > bounds["processes"]:
            # A fork bomb is ended at once, not measured.
            return Sample(processes=processes)
        detached = parse_detached(_text("/proc/sysvipc/shm")) if self._alone else 0
        memory = detached + sum(self._resident(pid) for pid in below)
        if memory > bounds["memory_bytes"]:
            # Pages that forked processes share were counted once each: count them once.
            memory = detached + sum(self._proportional(pid) for pid in below)
        self.memory_bytes_max = max(self.memory_bytes_max, memory)
        reaped = os.times()
        return Sample(
            processes=processes,
            memory_bytes=memory,
            cpu_seconds=sum(everyone[pid].cpu_seconds for pid in below)
            + reaped.children_user
            + reaped.children_system,
            written_bytes=self.written_bytes()
            + sum(parse_written(_text(f"/proc/{pid}/io")) for pid in below),
            free_bytes=min((self._free_bytes(path) for path in self._writable), default=None),
        )

    @staticmethod
    def _resident(pid: int) -> int:
        return parse_bytes(_text(f"/proc/{pid}/status"), ("RssAnon", "RssShmem", "VmSwap"))

    def _proportional(self, pid: int) -> int:
        return parse_bytes(_text(f"/proc/{pid}/smaps_rollup"), ("Pss_Anon", "Pss_Shmem", "SwapPss")) or (
            self._resident(pid)
        )

    @staticmethod
    def _free_bytes(path: str) -> int:
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize
