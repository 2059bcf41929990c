"""The faults of a storm: what is harmed, when, and how long the fleet took to be whole again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from ironclaw_contracts.enums import Service
from tests.support.fleet import FleetUnderTest
from tests.support.git import git

Inject = Callable[["Storm"], Awaitable[str]]
_RECOVERY_SECONDS_MAX = 30.0
_TRIGGER_SECONDS_MAX = 1.5


class Injected(Struct, frozen=True):
    """One row of the table: `recovered_seconds` is None when the fleet was not whole again in time."""

    at_seconds: float
    fault: str
    detail: str
    recovered_seconds: float | None


class Storm:
    """Harms a fleet at random moments; a seed gives the same storm again."""

    def __init__(self, fleet: FleetUnderTest, repo_path: Path, worktrees: Path, seed: int) -> None:
        self.fleet = fleet
        self.repo_path = repo_path
        self.worktrees = worktrees
        self.chance = random.Random(seed)
        self.injected: list[Injected] = []
        self._began = time.monotonic()

    async def strike(self, names: list[str]) -> None:
        """Commit one of these faults and wait until every process is ready again."""
        name = self.chance.choice(names)
        await asyncio.sleep(self.chance.uniform(0.05, 0.8))
        at = time.monotonic()
        detail = await FAULTS[name](self)
        recovered = await self._whole()
        self.injected.append(
            Injected(
                round(at - self._began, 2), name, detail, round(recovered - at, 2) if recovered else None
            )
        )

    async def _whole(self) -> float | None:
        """Wait until the gateway says that every service is ready; return when that was."""
        from ironclaw_contracts.endpoints import api_gateway as api
        from ironclaw_contracts.errors import Problem

        deadline = time.monotonic() + _RECOVERY_SECONDS_MAX
        async with self.fleet.client() as client:
            while time.monotonic() < deadline:
                try:
                    async with asyncio.timeout(5):
                        status = await client.call(api.FLEET)
                    if all(service.ready for service in status.services):
                        return time.monotonic()
                except (Problem, TimeoutError):
                    pass
                await asyncio.sleep(0.1)
        return None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> str:
        """Send a signal to a process of the fleet and name it."""
        return f"{number.name} to {self.fleet.kill(name, number)} of {name}"

    async def when(self, happens: Callable[[], bool]) -> bool:
        """Wait, without yielding for long, for the moment between two steps."""
        deadline = time.monotonic() + _TRIGGER_SECONDS_MAX
        while time.monotonic() < deadline:
            if happens():
                return True
            await asyncio.sleep(0.001)
        return False


def _service(service: Service) -> Inject:
    async def inject(storm: Storm) -> str:
        return storm.kill(service)

    return inject


async def _integration_after_merge(storm: Storm) -> str:
    """Kill integration the moment the mainline moved: its event is not told yet."""
    ref = storm.repo_path / "refs" / "heads" / "main"
    before = _stamp(ref)
    hit = await storm.when(lambda: _stamp(ref) != before)
    return storm.kill(Service.INTEGRATION) + (" right after a promotion" if hit else ", no promotion seen")


async def _vault_after_worktree(storm: Storm) -> str:
    """Kill the vault the moment a worktree appeared: its event is not told yet."""
    before = _stamp(storm.worktrees)
    hit = await storm.when(lambda: _stamp(storm.worktrees) != before)
    return storm.kill(Service.VAULT) + (" right after a worktree" if hit else ", no worktree seen")


async def _valkey_wiped(storm: Storm) -> str:
    """Kill Valkey; it keeps nothing on disk, so that all jobs and limits are lost."""
    return storm.kill("valkey-server")


async def _postgres_stopped(storm: Storm) -> str:
    """Have PostgreSQL stop at once, without a checkpoint: what a power failure looks like."""
    return storm.kill("postgres", signal.SIGQUIT)


async def _worker_hangs(storm: Storm) -> str:
    """Stop a worker for longer than its lease, then let it go on as a zombie."""
    said = storm.kill(Service.WORKER, signal.SIGSTOP)
    stopped = storm.fleet.pids(Service.WORKER)
    await asyncio.sleep(storm.chance.uniform(3.5, 5.0))
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    return f"{said}, then SIGCONT"


async def _worktree_deleted(storm: Storm) -> str:
    """Delete a worktree under a unit's hands; its commits stay with the repository."""
    import shutil

    folders = sorted(path for path in storm.worktrees.glob("order_*") if path.is_dir())
    if not folders:
        return "no worktree to delete"
    victim = storm.chance.choice(folders)
    await asyncio.to_thread(shutil.rmtree, victim, True)
    return f"{victim.name} deleted"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


FAULTS: dict[str, Inject] = {
    **{
        service.value: _service(service)
        for service in (
            Service.WORKER,
            Service.LEDGER,
            Service.CO,
            Service.OBSERVER,
            Service.DUTY_OFFICER,
            Service.SENTINEL,
            Service.API_GATEWAY,
        )
    },
    "integration_after_merge": _integration_after_merge,
    "vault_after_worktree": _vault_after_worktree,
    "valkey_wiped": _valkey_wiped,
    "postgres_stopped": _postgres_stopped,
    "worker_hangs": _worker_hangs,
    "worktree_deleted": _worktree_deleted,
}


def table(seed: int, injected: list[Injected]) -> str:
    """Return the storm as a table."""
    rows = [f"storm {seed}: {len(injected)} faults"]
    for row in injected:
        back = f"{row.recovered_seconds:6.2f} s" if row.recovered_seconds is not None else "not in time"
        rows.append(f"  {row.at_seconds:7.2f} s  {row.fault:<24} whole after {back}  {row.detail}")
    return "\n".join(rows)


def lost_commits(repo_path: Path) -> list[str]:
    """Return the commits of units whose content no ref holds.

    A unit that is killed between writing a commit and moving its branch leaves an object that nothing ever
    named; its files are in the worktree still, and the salvage of that has the same tree.
    """
    found = git(repo_path, "fsck", "--unreachable", "--no-reflogs", "--no-progress").splitlines()
    commits = [line.split()[-1] for line in found if " commit " in line]
    if not commits:
        return []
    kept = set(git(repo_path, "log", "--all", "--format=%T").split())
    shown = git(repo_path, "show", "-s", "--format=%H %T %ae", *commits).splitlines()
    return [line for line in shown if "assault_" in line and line.split()[1] not in kept]
