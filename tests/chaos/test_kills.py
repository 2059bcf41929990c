"""Kill -9 at random moments: every order ends integrated exactly once, and the chain holds."""

import asyncio
import random
from pathlib import Path

import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from ironclaw_contracts.plan import Budget
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.waiting import ended

ORDERS = 20
FAST = {
    "IRONCLAW_LEASE_SECONDS": "3",
    "IRONCLAW_DUTY_OFFICER_UNCLAIMED_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.5",
    "IRONCLAW_DUTY_OFFICER_LOST_UNITS_MAX": "50",
}


def library(folder: Path, count: int) -> Path:
    (folder / "docs").mkdir(parents=True)
    for number in range(count):
        text = f"# Station {number}\n\nStation {number} measures level and flow. Its sensor was replaced in May.\n"
        (folder / "docs" / f"s{number:02d}.md").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("victims", "seed"),
    [
        ((Service.LEDGER,), 1),
        ((Service.CO,), 2),
        ((Service.WORKER,), 3),
        (
            (
                Service.LEDGER,
                Service.CO,
                Service.WORKER,
                Service.INTEGRATION,
                Service.VAULT,
                Service.OBSERVER,
            ),
            4,
        ),
    ],
    ids=["ledger", "co", "worker", "all"],
)
async def test_given_a_run_of_20_orders_when_services_are_killed_then_every_order_is_integrated_once(
    open_path: Path, victims: tuple[Service, ...], seed: int
) -> None:
    chance = random.Random(seed)
    source = library(open_path / "library", ORDERS - 1)
    with FleetUnderTest.started(open_path / "fleet", FAST, ("--allow", str(open_path))) as fleet:
        async with fleet.client() as client:
            request = TheaterRequest(theater_id="library", import_path=str(source))
            theater = await client.call(api.OPEN_THEATER, request)
            chat = api.ChatRequest(
                message="Summarize docs/",
                theater_hint="library",
                mode="async",
                budget=Budget(deadline_seconds=150),
            )
            run_id = (await client.call(api.CHAT, chat)).run_id
            for _ in range(5):
                await asyncio.sleep(chance.uniform(0.05, 0.7))
                fleet.kill(chance.choice(victims))
            view = await ended(client, run_id, 160)
            verification = await client.call(api.VERIFY_CHAIN)
            rebuilt = await client.call(api.REBUILD)
            query = EventsQuery(type=EventType.INTEGRATED, run_id=run_id, limit=1000)
            merges = (await client.call(api.LIST_EVENTS, query=query)).events
        assert view.run.status is RunStatus.COMPLETE, view.run.reason
        assert [order.phase for order in view.orders] == [OrderPhase.INTEGRATED] * ORDERS
        assert sorted(event.order_id or "" for event in merges) == sorted(o.order_id for o in view.orders)
        assert verification.ok, verification.reason
        assert rebuilt.differing == []
        subjects = git(theater.repo_path, "log", "--merges", "--format=%b", "main").splitlines()
        merged = [line.removeprefix("Order: ") for line in subjects if line.startswith("Order: ")]
        assert sorted(merged) == sorted(order.order_id for order in view.orders)
