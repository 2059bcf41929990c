"""Two hundred orders through the whole fleet, beside the bare git work of as many, two at a time.

python -m bench orders
"""

import asyncio
import subprocess
import tempfile
import time
from pathlib import Path

from bench.chat import GIT, bare_git, git, one_chat
from bench.report import Aim, Row, paired
from ironclaw_chassis.client import ServiceClient
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

ORDERS = 200
AT_ONCE = 16
GIT_AT_ONCE = 2


async def through_the_fleet(client: ServiceClient, orders: int) -> float:
    """Return orders a second, each asked in a chat of its own, so many at once."""
    left = iter(range(orders))

    async def asking() -> None:
        for _ in left:
            await one_chat(client)

    started = time.perf_counter()
    await asyncio.gather(*(asking() for _ in range(AT_ONCE)))
    return orders / (time.perf_counter() - started)


async def through_git(folder: Path, orders: int, first: int) -> float:
    """Return orders a second of git alone; each lane has a repository, since a merge needs a checkout."""

    def lane(number: int) -> None:
        for order in range(first + number, first + orders, GIT_AT_ONCE):
            bare_git(folder / f"lane{number}", order)

    started = time.perf_counter()
    await asyncio.gather(*(asyncio.to_thread(lane, number) for number in range(GIT_AT_ONCE)))
    return orders / (time.perf_counter() - started)


async def measure(rounds: int) -> list[Row]:
    """Run both in turn."""
    fleet: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-") as name:
        folder = Path(name)
        for number in range(GIT_AT_ONCE):
            repository = folder / f"lane{number}"
            repository.mkdir()
            subprocess.run([*GIT, "init", "-q", "-b", "main", str(repository)], check=True)
            git(repository, "commit", "-q", "--allow-empty", "-m", "begin")
        state = StateDirectory(folder / "fleet")
        async with (
            running_fleet(state, port_base=free_port_row(), workers=1, quiet=True),
            gateway(state.path) as client,
        ):
            await through_the_fleet(client, AT_ONCE)
            for number in range(rounds):
                fleet.append(await through_the_fleet(client, ORDERS))
                bare.append(await through_git(folder, ORDERS, number * ORDERS))
    return [
        paired(
            f"{ORDERS} orders through the fleet, {AT_ONCE} chats at a time",
            "1/s",
            fleet,
            bare,
            f"the git work alone, {GIT_AT_ONCE} at a time",
            Aim(">=", 0.5),
            Aim(">=", 20, "ours"),
        )
    ]


def rows() -> list[Row]:
    """Measure three rounds."""
    return asyncio.run(measure(3))
