"""Processes of this machine, as /proc tells of them."""

import asyncio
import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def parents() -> dict[int, int]:
    """The parent of each process."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    return found


def descendants(pid: int) -> set[int]:
    """What a process started, and what that started."""
    known = parents()
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in known.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found - {pid}


def words(pid: int) -> list[str]:
    """The command line of a process; nothing of one that has ended."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


async def gone(pids: set[int], seconds: float = 10.0) -> set[int]:
    """Wait for the end of processes; return those that still run."""
    deadline = time.monotonic() + seconds
    while (left := {pid for pid in pids if alive(pid)}) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return left
