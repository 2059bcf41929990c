"""What a tree of processes takes of the machine: memory shared fairly, and processor time."""

from collections.abc import Callable, Iterable

import psutil

Belongs = Callable[[psutil.Process], bool]


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def pss_mib(processes: Iterable[psutil.Process]) -> float:
    """Return proportional set sizes in MiB: a page that n processes share counts as an n-th for each."""
    return sum(process.memory_full_info().pss for process in processes) / 2**20


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time so far, with that of children which have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def is_database(process: psutil.Process) -> bool:
    """Tell whether a process is PostgreSQL's or Valkey's, rather than one of our own."""
    return process.name().startswith(("postgres", "valkey"))
