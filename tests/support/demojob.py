"""The demo's job asked of a fleet through its published port, and the proof that it was done once."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.chain import verify_lines
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.ids import new_id
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from tests.support.waiting import ended, until

MESSAGE = "Summarize every document under docs/ and write one overview of the whole handbook."
ORDERS = 13
"""Orders of one job: one for each document of examples/handbook, and the overview."""


@asynccontextmanager
async def operator(port: int, secrets: Path, seconds: float) -> AsyncIterator[ServiceClient]:
    """The first operator at a published port, once every service of the fleet says that it is ready."""
    key = (secrets / "operator.apikey").read_text().strip()
    async with ServiceClient(KeyCredentials(key), GatewayAddress(f"http://127.0.0.1:{port}")) as client:
        await until_ready(client, seconds)
        yield client


async def until_ready(client: ServiceClient, seconds: float) -> None:
    """Wait until every service of the fleet says that it is ready."""

    async def look() -> bool | None:
        found = await client.call(api.FLEET)
        return True if all(service.ready for service in found.services) else None

    await until(look, seconds, "a fleet in which every service is ready")


async def ask(client: ServiceClient, theater: str) -> str:
    """Make a theater of the handbook, ask for the demo's job in it, and return the run."""
    request = TheaterRequest(theater_id=theater, import_path="/imports/handbook")
    await until(lambda: client.call(api.OPEN_THEATER, request), 120, f"theater {theater}")
    chat = api.ChatRequest(message=MESSAGE, theater_hint=theater, mode="async", run_id=new_id())
    return (await until(lambda: client.call(api.CHAT, chat), 120, f"the chat in {theater}")).run_id


async def prove(client: ServiceClient, runs: list[str]) -> None:
    """Every order of the runs was merged, once; the chain holds, in the service and in an export."""
    views = [await ended(client, run, 300) for run in runs]
    for view in views:
        assert view.run.status is RunStatus.COMPLETE, view.run.reason
        assert len(view.orders) == ORDERS
        assert {order.phase for order in view.orders} == {OrderPhase.INTEGRATED}
    lines = [line async for line in client.lines(api.EXPORT)]
    assert verify_lines(lines).ok
    assert (await client.call(api.VERIFY_CHAIN)).ok
    bodies = [json.loads(item["body"]) for item in map(json.loads, lines) if item["kind"] == "event"]
    merged = Counter(body["order_id"] for body in bodies if body["type"] == "INTEGRATED")
    assert len(merged) == ORDERS * len(runs) and set(merged.values()) == {1}
