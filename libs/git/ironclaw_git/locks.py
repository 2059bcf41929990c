"""One writer at a time, in this process and across processes, where git itself is racy.

Objects and refs need no lock of ours: git writes both atomically. Worktree records, a checkout that
follows its branch, and an index do.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from weakref import WeakValueDictionary

from ironclaw_git.errors import GitTimeout, NotARepository

LOCK_FILE = "ironclaw.lock"
_WAIT_SECONDS_MIN, _WAIT_SECONDS_MAX = 0.002, 0.05

_locks: WeakValueDictionary[tuple[int, Path], asyncio.Lock] = WeakValueDictionary()


@contextlib.asynccontextmanager
async def exclusive(git_dir: Path, timeout: float = 30.0) -> AsyncGenerator[None]:
    """Hold the only lock on `git_dir`; wait at most `timeout` seconds, then raise `GitTimeout`.

    The file lock is polled without blocking: a cancelled waiter holds nothing, and a holder that dies
    releases it with its descriptors.
    """
    key = (id(asyncio.get_running_loop()), git_dir)
    lock = _locks.get(key)
    if lock is None:
        lock = _locks[key] = asyncio.Lock()
    try:
        async with asyncio.timeout(timeout):
            await lock.acquire()
    except TimeoutError as problem:
        raise GitTimeout(f"{git_dir} is locked by another task of this process") from problem
    try:
        descriptor = await _file_lock(git_dir, timeout)
        try:
            yield
        finally:
            os.close(descriptor)
    finally:
        lock.release()


async def _file_lock(git_dir: Path, timeout: float) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(git_dir / LOCK_FILE, flags, 0o600)
    except OSError as problem:
        raise NotARepository(f"{git_dir} cannot be locked: {problem}") from problem
    wait_seconds = _WAIT_SECONDS_MIN
    try:
        async with asyncio.timeout(timeout):
            while not _try_lock(descriptor):
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(wait_seconds * 2, _WAIT_SECONDS_MAX)
    except TimeoutError as problem:
        os.close(descriptor)
        raise GitTimeout(f"{git_dir} is locked by another process for {timeout:g} s") from problem
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
