"""How long an order waits between being queued and being claimed, beside a bare BLPOP round trip.

The figure is the fleet's own, from the ledger: from the instant of ORDER_ENQUEUED, which is durable before
the job is queued, to that of ORDER_CLAIMED. So it holds the queue, the consumer's wake-up, the unit's look at
the order, and the claim's way to the ledger. The baseline is a push answered by a client that waits in BLPOP.

    python -m bench handover
"""

import asyncio
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis

from bench.report import Aim, Row
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import EventType
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.embedded.valkey import EmbeddedValkey
from ironclaw_fleet.ports import free_port, free_port_row
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor


async def bare(state: StateDirectory, rounds: int) -> list[float]:
    """Return the milliseconds between a push and its arrival at a client that waits in BLPOP."""
    state.create()
    server = EmbeddedValkey(state, free_port())
    server.prepare()
    supervisor = Supervisor()
    supervisor.add(server.spec())
    taken: list[float] = []
    try:
        await supervisor.wait_ready()
        async with Redis.from_url(server.url) as pushing, Redis.from_url(server.url) as popping:
            for _ in range(rounds):
                waiting = asyncio.create_task(popping.blpop(["bench"], timeout=10))
                await asyncio.sleep(0.002)
                begun = time.perf_counter()
                await pushing.rpush("bench", b"1")
                await waiting
                taken.append((time.perf_counter() - begun) * 1000)
    finally:
        await supervisor.stop()
    return taken


async def ours(state: StateDirectory, chats: int) -> list[float]:
    """Return the milliseconds from ORDER_ENQUEUED to ORDER_CLAIMED of single orders, one after the other."""
    port_base = free_port_row()
    async with (
        running_fleet(state, port_base=port_base, workers=1, quiet=True),
        gateway(state.path) as client,
    ):
        for _ in range(chats):
            answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a note"))
            if answer.status is not RunStatus.COMPLETE:
                raise SystemExit(f"the run is {answer.status}: {answer.reason}")
        addresses = Addresses(ServiceSettings(port_base=port_base), {})
        async with ServiceClient(Identity.load(Service.CO, state.keys), addresses) as reader:
            queued: dict[str | None, datetime] = {}
            taken: list[float] = []
            async for event in LedgerClient(reader).events(
                (EventType.ORDER_ENQUEUED, EventType.ORDER_CLAIMED)
            ):
                if event.type is EventType.ORDER_ENQUEUED:
                    queued[event.order_id] = event.ts
                else:
                    taken.append((event.ts - queued[event.order_id]).total_seconds() * 1000)
    return taken[chats // 10 :]  # the first find everything cold


async def measure(chats: int) -> list[Row]:
    """Measure both, one after the other."""
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        baseline = await bare(StateDirectory(Path(name) / "bare"), chats * 5)
        figures = await ours(StateDirectory(Path(name) / "fleet"), chats)
    return [
        _row("p50", 50, figures, baseline, Aim("<=", 10, "ours")),
        _row("p99", 99, figures, baseline, Aim("<=", 25, "ours")),
    ]


def _row(name: str, percent: int, figures: list[float], baseline: list[float], aim: Aim) -> Row:
    mine, bare_one = (statistics.quantiles(part, n=100)[percent - 1] for part in (figures, baseline))
    return Row(
        f"order hand-over, queued to claimed, {name}",
        "ms",
        round(mine, 3),
        round(bare_one, 3),
        f"bare BLPOP round trip, {name}",
        round(mine / bare_one, 2),
        len(figures),
        (aim,),
    )


def rows() -> list[Row]:
    """Measure 200 orders."""
    return asyncio.run(measure(200))
