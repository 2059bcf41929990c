"""Integration killed again and again while it gates and promotes: nothing lands by halves, twice, or unjudged."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.events import EventType
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.suites import GATES, PACKAGE, edit, open_theater, order_work, suite_passes
from tests.support.units import scripted_units
from tests.support.waiting import ended

FULL = bool(os.environ.get("IRONCLAW_TRUST_FULL"))
pytestmark = [pytest.mark.trust, pytest.mark.slow, pytest.mark.timeout(900)]

_GOOD = [{f"src/tally/part_{n}.py": f"def value():\n    return {n + 1} - 1\n"} for n in range(10)]
_BAD = {"src/tally/part_20.py": "def value():\n    return 0\n"}


async def test_given_a_merge_queue_when_killed_at_any_moment_then_every_order_lands_once_or_is_refused(
    open_path: Path, tmp_path: Path
) -> None:
    kills, moments = (30 if FULL else 5), random.Random(8)
    environ = {"IRONCLAW_INTEGRATION_TOOLS": sys.prefix, "IRONCLAW_INTEGRATION_SWEEP_SECONDS": "1"}
    with FleetUnderTest.started(open_path / "fleet", environ, ("--allow", str(tmp_path))) as fleet:
        fleet.kill(Service.WORKER, signal.SIGSTOP)
        async with fleet.client() as client, scripted_units(fleet, edit):
            theater = await open_theater(client, tmp_path, GATES, PACKAGE)
            once = Constraints(max_retries=0)
            edits = [*_GOOD[:5], _BAD, *_GOOD[5:]]
            runs = await asyncio.gather(*(order_work(client, theater, one, once) for one in edits))
            waiting = asyncio.gather(*(ended(client, run_id, 400) for run_id in runs))
            for _ in range(kills):
                await asyncio.sleep(moments.uniform(0.2, 2.5))
                if waiting.done():
                    break
                fleet.kill(Service.INTEGRATION)
            orders = [view.orders[0] for view in await waiting]
            query = EventsQuery(type=EventType.INTEGRATED, limit=1_000)
            landed = [e.order_id for e in (await client.call(api.LIST_EVENTS, query=query)).events]
            assert (await client.call(api.VERIFY_CHAIN)).ok
        fleet.kill(Service.WORKER, signal.SIGCONT)
    phases = [order.phase for order in orders]
    assert phases == [OrderPhase.FAILED if one is _BAD else OrderPhase.INTEGRATED for one in edits]
    repository = tmp_path / theater
    bodies = git(repository, "log", "--merges", "--format=%b", "main").splitlines()
    merged = [line.removeprefix("Order: ") for line in bodies if line.startswith("Order: ")]
    assert sorted(merged) == sorted(str(one) for one in landed) and len(set(merged)) == len(_GOOD)
    assert git(repository, "status", "--porcelain") == "", "the user's checkout followed every promotion"
    for number, commit in enumerate(git(repository, "rev-list", "--first-parent", "main").splitlines()):
        assert suite_passes(repository, commit, tmp_path / f"at-{number}"), commit
    scratch = open_path / "fleet" / "integration"
    assert len(list(scratch.iterdir())) <= 1, "what a killed process left is swept by the next"
