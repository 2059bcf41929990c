"""Forty orders with dependencies in a storm of faults: the fleet converges, loses nothing, and can prove it.

`IRONCLAW_STORM_SEEDS` lists seeds to run, `IRONCLAW_STORM_FAULTS` sets how many faults each has: every kind
once, in the seed's order, then any kind.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.drills import DRILL, DRILL_THEATER
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.endpoints.vault import Theater, TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.plan import Budget
from ironclaw_contracts.snapshots import RunView
from ironclaw_contracts.transitions import TERMINAL_PHASES
from tests.chaos.faults import FAULTS, Storm, lost_commits, table
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.waiting import ended, until

ORDERS = 40
SEEDS = [int(seed) for seed in os.environ.get("IRONCLAW_STORM_SEEDS", "1").split(",")]
STRIKES = int(os.environ.get("IRONCLAW_STORM_FAULTS", len(FAULTS)))
QUICK = {
    "IRONCLAW_LEASE_SECONDS": "3",
    "IRONCLAW_DUTY_OFFICER_SUSPECT_SECONDS": "1.2",
    "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.5",
    "IRONCLAW_DUTY_OFFICER_PATROL_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_UNCLAIMED_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_LEAD_SECONDS": "3",
    "IRONCLAW_OBSERVER_SWEEP_SECONDS": "1",
    "IRONCLAW_OBSERVER_PATROL_SECONDS": "3",
    "IRONCLAW_CO_SWEEP_SECONDS": "1",
    "IRONCLAW_INTEGRATION_SWEEP_SECONDS": "1",
    "IRONCLAW_VAULT_JANITOR_SECONDS": "2",
    "IRONCLAW_VAULT_WORKTREE_RETENTION_SECONDS": "3",
    "IRONCLAW_SENTINEL_LEAD_SECONDS": "3",
    "IRONCLAW_SENTINEL_TICK_AGE_SECONDS_MAX": "15",
}


def library(folder: Path, count: int) -> Path:
    (folder / "docs").mkdir(parents=True)
    for number in range(count):
        text = f"# Station {number}\n\nStation {number} measures level and flow. Its sensor was replaced in May.\n"
        (folder / "docs" / f"s{number:02d}.md").write_text(text)
    return folder


async def stubborn_chat(client: ServiceClient, request: api.ChatRequest) -> str:
    """Ask until it is taken; the run's id, chosen here, makes that safe."""

    async def ask() -> str | None:
        try:
            return (await client.call(api.CHAT, request)).run_id
        except Unavailable:
            return None

    return await until(ask, 60, "the chat")


@pytest.mark.trust
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
async def test_given_forty_orders_and_units_that_misbehave_when_everything_is_harmed_then_nothing_is_lost_or_doubled(
    open_path: Path, seed: int
) -> None:
    source = library(open_path / "library", ORDERS - 1)
    with FleetUnderTest.started(
        open_path / "fleet", QUICK, ("--allow", str(open_path), "--workers", "2")
    ) as fleet:
        async with fleet.client() as client:
            theater = await client.call(
                api.OPEN_THEATER, TheaterRequest(theater_id="library", import_path=str(source))
            )
            await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=DRILL_THEATER))
            run_id = await stubborn_chat(
                client,
                api.ChatRequest(
                    message="Summarize docs/",
                    run_id=new_id(),
                    theater_hint="library",
                    mode="async",
                    constraints=Constraints(max_retries=5),
                    budget=Budget(deadline_seconds=400),
                ),
            )
            drill_id = await stubborn_chat(
                client,
                api.ChatRequest(
                    message="misbehave",
                    run_id=new_id(),
                    theater_hint=DRILL_THEATER,
                    playbook=DRILL,
                    mode="async",
                    constraints=Constraints(budget_seconds=4, max_retries=5),
                    budget=Budget(deadline_seconds=400),
                    on_order_failure="continue",
                ),
            )
            storm = Storm(fleet, Path(theater.repo_path), Path(theater.worktrees_path), seed)
            kinds = storm.chance.sample(sorted(FAULTS), len(FAULTS))
            for number in range(STRIKES):
                await storm.strike(kinds[number : number + 1] or sorted(FAULTS))
            sys.stderr.write(f"\n{table(seed, storm.injected)}\n")
            views = [await ended(client, run, 300) for run in (run_id, drill_id)]
            await check_everything(fleet, client, theater, views)
        assert all(row.recovered_seconds is not None for row in storm.injected)


async def check_everything(
    fleet: FleetUnderTest, client: ServiceClient, theater: Theater, views: list[RunView]
) -> None:
    """Every order merged once or failed with reasons, every commit kept, the chain whole, nothing open."""
    for view in views:
        for order in view.orders:
            assert order.phase in TERMINAL_PHASES, order
            assert order.phase is OrderPhase.INTEGRATED or order.history, order
    library_run = views[0]
    assert library_run.run.status is RunStatus.COMPLETE, library_run.run.reason
    query = EventsQuery(type=EventType.INTEGRATED, run_id=library_run.run.run_id, limit=1000)
    merges = [event.order_id for event in (await client.call(api.LIST_EVENTS, query=query)).events]
    assert sorted(merges) == sorted(order.order_id for order in library_run.orders)
    bodies = git(theater.repo_path, "log", "--merges", "--format=%b", "main").splitlines()
    merged = [line.removeprefix("Order: ") for line in bodies if line.startswith("Order: ")]
    assert sorted(merged) == sorted(merges)
    verification = await client.call(api.VERIFY_CHAIN)
    assert verification.ok, verification.reason

    async def tidied() -> bool | None:
        return not list(Path(theater.worktrees_path).glob("order_*")) or None

    await until(tidied, 60, "the removal of the worktrees")
    assert lost_commits(Path(theater.repo_path)) == []
    rebuilt = await client.call(api.REBUILD)
    assert rebuilt.differing == []
    page = await client.call(api.LIST_RUNS)
    assert [run.run_id for run in page.runs if run.status is RunStatus.OPEN] == []
    await asyncio.sleep(0)
