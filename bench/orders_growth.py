"""Whether an order costs more when there have been many: in one theater, and with many theaters.

    python -m bench orders_growth

Runs for minutes, so `make bench` leaves it out unless it is named.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.chat import one_chat
from bench.orders import through_the_fleet
from bench.report import Row
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import RunStatus
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

ORDERS = (10, 100, 1_000)
THEATERS = (1, 10, 100)
SAMPLE = 20


async def one_order_ms(client: ServiceClient) -> float:
    """Return the median of single orders, in milliseconds."""
    return statistics.median([await one_chat(client) for _ in range(SAMPLE)])


async def after_orders(client: ServiceClient) -> list[Row]:
    """Measure after ten, a hundred and a thousand orders in one theater."""
    rows: list[Row] = []
    done, first = 0, 0.0
    for count in ORDERS:
        await through_the_fleet(client, count - done)
        took = await one_order_ms(client)
        done = count + SAMPLE
        first = first or took
        rows.append(
            Row(f"one order after {count:,} in its theater", "ms", took, first, "after 10", took / first)
        )
    return rows


async def among_theaters(client: ServiceClient) -> list[Row]:
    """Measure orders spread over one, ten and a hundred theaters."""
    rows: list[Row] = []
    first, opened = 0.0, 0
    for count in THEATERS:
        for number in range(opened, count):
            await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=f"growth{number}"))
        opened = count
        times: list[float] = []
        for number in range(SAMPLE):
            started = time.perf_counter()
            request = api.ChatRequest(message="Draft a note", theater_hint=f"growth{number % count}")
            answer = await client.call(api.CHAT, request)
            if answer.status is not RunStatus.COMPLETE:
                raise SystemExit(f"the run is {answer.status}: {answer.reason}")
            times.append((time.perf_counter() - started) * 1000)
        took = statistics.median(times)
        first = first or took
        rows.append(Row(f"one order among {count} theaters", "ms", took, first, "with 1", took / first))
    return rows


async def measure() -> list[Row]:
    """Measure both on one fleet."""
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-") as name:
        state = StateDirectory(Path(name) / "fleet")
        async with (
            running_fleet(state, port_base=free_port_row(), workers=1, quiet=True),
            gateway(state.path) as client,
        ):
            return [*await after_orders(client), *await among_theaters(client)]


def rows() -> list[Row]:
    """Measure the growth."""
    return asyncio.run(measure())
