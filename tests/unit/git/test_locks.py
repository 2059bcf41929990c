"""One writer at a time, in this process and across processes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_git import GitTimeout, NotARepository
from ironclaw_git.locks import LOCK_FILE, exclusive

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


async def test_given_tasks_of_one_process_when_they_lock_then_one_is_inside_at_a_time(tmp_path: Path) -> None:
    inside = most = 0

    async def enter() -> None:
        nonlocal inside, most
        async with exclusive(tmp_path):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(20)))
    assert (inside, most) == (0, 1)


async def test_given_another_process_with_the_lock_when_it_dies_then_the_lock_is_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / LOCK_FILE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == b"held\n"
        with pytest.raises(GitTimeout, match="another process"):
            async with exclusive(tmp_path, timeout=0.05):
                pytest.fail("the lock was had twice")
        holder.kill()
    async with exclusive(tmp_path, timeout=1.0):
        pass


async def test_given_a_waiter_that_is_cancelled_when_the_holder_ends_then_the_lock_is_free(
    tmp_path: Path,
) -> None:
    async with exclusive(tmp_path):
        waiter = asyncio.create_task(exclusive(tmp_path).__aenter__())
        await asyncio.sleep(0.01)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    before = len(os.listdir("/proc/self/fd"))
    async with exclusive(tmp_path, timeout=1.0):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


async def test_given_a_link_where_the_lock_file_belongs_when_locked_then_it_is_not_followed(
    tmp_path: Path,
) -> None:
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotARepository):
        async with exclusive(tmp_path):
            pytest.fail("a link was followed")
    assert not (tmp_path / "elsewhere").exists()
