"""Folders for trees under test: gone when their use ends, and swept when their process was killed."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self


class Scratch:
    """A folder of this process below `root`. A lock tells the living from what a crash left."""

    def __init__(self, folder: Path, lock: int) -> None:
        """Use `open`."""
        self._folder = folder
        self._lock = lock

    @classmethod
    def open(cls, root: Path) -> Self:
        """Make this process's folder and remove those whose process has ended. Blocking."""
        root.mkdir(parents=True, exist_ok=True)
        for left in sorted(root.iterdir()):
            _sweep(left)
        folder = Path(tempfile.mkdtemp(prefix="gates-", dir=root))
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(folder.resolve(), lock)

    def close(self) -> None:
        """Remove this process's folder. Blocking."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    @asynccontextmanager
    async def folder(self) -> AsyncGenerator[Path]:
        """An empty folder for as long as the context is open."""
        made = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="tree-", dir=self._folder))
        try:
            yield made
        finally:
            await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)


def _sweep(left: Path) -> None:
    """Remove a folder whose lock nobody holds."""
    try:
        lock = os.open(left / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # just being made, or being removed
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
