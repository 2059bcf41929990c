"""One writer at a time, across processes and threads."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ironclaw_contracts.errors import Unavailable

_RETRY_SECONDS = 0.005


@contextmanager
def exclusive(path: Path, *, timeout_seconds: float) -> Generator[None]:
    """Hold the lock file. The kernel lets go of it when its holder dies.

    Raises `Unavailable` when another writer holds it for longer than the timeout.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, path, time.monotonic() + timeout_seconds)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"another process holds {path}; try again when it is done", retry_after_seconds=1
                ) from None
            time.sleep(_RETRY_SECONDS)
        else:
            return
