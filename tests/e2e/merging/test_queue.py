"""The merge queue under a load of good, bad and conflicting work at once."""

import asyncio
from pathlib import Path

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import OrdersQuery
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import EventType
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.suites import (
    GATES,
    PACKAGE,
    edit,
    events_of,
    open_theater,
    order_work,
    suite_passes,
)
from tests.support.units import scripted_units
from tests.support.waiting import ended, until

_GOOD = [{f"src/tally/part_{n}.py": f"def value():\n    return {n + 1} - 1\n"} for n in range(24)]
_BAD = [{f"src/tally/part_{n}.py": "def value():\n    return 0\n"} for n in (24, 25, 26)]
_SAME = [{"shared.txt": f"version {n}\n"} for n in range(3)]


async def test_given_thirty_orders_at_once_when_three_break_tests_and_two_conflict_then_the_rest_is_merged(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    once = Constraints(max_retries=0)
    async with idle_fleet.client() as client:
        theater = await open_theater(client, tmp_path, GATES, PACKAGE)
        edits = [*_GOOD[:10], *_BAD[:1], *_SAME, *_GOOD[10:], *_BAD[1:]]
        runs = await asyncio.gather(*(order_work(client, theater, one, once) for one in edits))

        async def all_enqueued() -> bool | None:
            query = OrdersQuery(theater_id=theater, phase=OrderPhase.ENQUEUED, limit=50)
            return len((await client.call(api.LIST_ORDERS, query=query)).orders) == len(edits) or None

        await until(all_enqueued, 90, "thirty worktrees")
        async with scripted_units(idle_fleet, edit):
            views = await asyncio.gather(*(ended(client, run_id, 280) for run_id in runs))
        orders = {run_id: view.orders[0] for run_id, view in zip(runs, views, strict=True)}
        ends = [orders[run_id] for run_id in runs]
        bad = [order for order, wanted in zip(ends, edits, strict=True) if wanted in _BAD]
        same = [order for order, wanted in zip(ends, edits, strict=True) if wanted in _SAME]
        good = [order for order, wanted in zip(ends, edits, strict=True) if wanted in _GOOD]
        assert {order.phase for order in good} == {OrderPhase.INTEGRATED}
        assert {order.attempt for order in good} == {1}
        assert {order.phase for order in bad} == {OrderPhase.FAILED}
        for order in bad:
            (refusal,) = await events_of(client, order.order_id, EventType.INTEGRATION_FAILED)
            tests = next(gate for gate in refusal.payload["gates"] if gate["gate"] == "tests")
            printed = await client.call(api.READ_OUTPUT, output_id=tests["output"])
            assert b"1 failed, 29 passed" in printed
        first, *others = sorted(same, key=lambda order: order.attempt)
        assert (first.phase, first.attempt) == (OrderPhase.INTEGRATED, 1)
        for order in others:  # reissued on the new mainline; blocked when they met again there
            assert order.history[0].conflicts == ["shared.txt"]
            assert order.phase in {OrderPhase.INTEGRATED, OrderPhase.CANCELLED}

    repository = tmp_path / theater
    history = git(repository, "rev-list", "--first-parent", "main").splitlines()
    subjects = git(repository, "log", "--first-parent", "--format=%s", "main")
    assert len(history) < 25 and "orders" in subjects, subjects  # batches were promoted as one step
    for number, commit in enumerate(history):
        assert suite_passes(repository, commit, tmp_path / f"at-{number}"), commit
    landed = [order.merge_commit for order in ends if order.phase is OrderPhase.INTEGRATED]
    for commit in landed:
        git(repository, "merge-base", "--is-ancestor", str(commit), "main")


def test_given_a_priority_when_chatting_then_every_order_of_the_run_has_it(
    idle_fleet: FleetUnderTest,
) -> None:
    run_id = idle_fleet.cli_json("chat", "Draft a note", "--priority", "7", "--detach")["run_id"]
    for _ in range(100):
        orders = idle_fleet.cli_json("run", run_id)["orders"]
        if orders:
            break
    assert [order["order"]["constraints"]["priority"] for order in orders] == [7]
