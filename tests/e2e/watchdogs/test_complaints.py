"""What users of such fleets complain of most, each made impossible by a test that carries its name."""

import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.drills import DRILL, DRILL_THEATER
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from ironclaw_contracts.plan import OnOrderFailure
from tests.e2e.watchdogs.conftest import QUICK, Gate, Provider, ask, events_of, only_order
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until

BURN = "import time\nend = time.time() + 9\nwhile time.time() < end: sum(range(10_000))"


async def test_finished_work_is_not_deleted_with_its_worktree(quick: FleetUnderTest) -> None:
    """Uncommitted work of a lost attempt outlives its worktree, and can be had back."""
    quick.cli("drill", "--fault", "uncommitted", "--deadline", "60")
    async with quick.client() as client:
        theaters = (await client.call(api.LIST_THEATERS)).theaters
        theater = next(t for t in theaters if t.theater_id == DRILL_THEATER)

        async def tidied() -> bool | None:
            folder = Path(theater.worktrees_path)
            return not any(folder.iterdir()) or None

        await until(tidied, 30, "the removal of every worktree")
    kept = quick.cli_json("salvage", "list", DRILL_THEATER)["salvage"]
    order_id = kept[0]["order_id"]
    assert kept[0]["merged"] is False
    events = quick.cli_json("events", "--order", order_id)["events"]
    seq = next(event["seq"] for event in events if event["type"] == EventType.WORKTREE_ARCHIVED)
    listed = quick.cli_json("salvage", "list", DRILL_THEATER, "--as-of", str(seq))["salvage"]
    assert [one for one in listed if one["order_id"] == order_id] == [kept[0]]
    before = quick.cli_json("salvage", "list", DRILL_THEATER, "--as-of", str(seq - 1))["salvage"]
    assert order_id not in {one["order_id"] for one in before}
    shown = quick.cli("salvage", "show", order_id, "--attempt", "1")
    assert "+This unit did its work." in shown
    assert quick.cli("salvage", "show", order_id, "--as-of", str(seq)) == shown
    assert "nothing is kept" in quick.cli("salvage", "show", order_id, "--as-of", str(seq - 1), code=1)
    branch = quick.cli_json("salvage", "restore", order_id, "--attempt", "1", "--branch", "saved")
    assert "This unit did its work." in git(
        theater.repo_path, "show", f"{branch['branch']}:{kept_path(shown)}"
    )
    quick.cli("salvage", "restore", order_id, "--branch", "saved")
    assert "saved" in quick.cli("salvage", "restore", order_id, "--attempt", "1", "--branch", "saved")
    assert "nothing is kept" in quick.cli("salvage", "show", order_id, "--attempt", "7", code=1)


def kept_path(shown: str) -> str:
    line = next(line for line in shown.splitlines() if line.startswith("+++ b/outputs/"))
    return line.removeprefix("+++ b/")


@pytest.mark.parametrize("fault", ["uncommitted", "silent", "lie"])
async def test_a_unit_that_says_done_without_doing_it_is_found_out(quick: FleetUnderTest, fault: str) -> None:
    """Without a commit, without a report, or with a report that is not true: never merged, done again."""
    grades = quick.cli_json("drill", "--fault", fault, "--deadline", "60")
    invalid = next(grade for grade in grades["grades"] if grade["rule"] == "invalid")
    assert (invalid["planted"], invalid["missed"], invalid["right"]) == (1, 0, 1)


async def test_a_merge_queue_does_not_sleep_because_a_notification_was_lost(open_path: Path) -> None:
    """Every notification of the fleet is lost, and integration's own timer is off: it merges all the same."""
    fleet = FleetUnderTest(open_path / "fleet", QUICK, ())
    with Proxy(fleet.port_of(Service.LEDGER), swallow=b"GET /events/stream") as ledger:
        fleet.environ |= {
            "IRONCLAW_LEDGER_URL": ledger.url,
            "IRONCLAW_INTEGRATION_SWEEP_SECONDS": "3600",
        }
        fleet.up()
        try:
            async with fleet.client() as client:
                view = await ended(client, await ask(client, "in the dark"), 60)
        finally:
            fleet.down()
    assert view.run.status is RunStatus.COMPLETE


@pytest.mark.trust
async def test_a_watchdog_does_not_kill_healthy_units_at_full_load(
    quick: FleetUnderTest, provider: Provider
) -> None:
    """Four units wait for a slow model, far past their leases' length, while both cores burn."""
    gate = Gate()
    provider.on("patience", gate)
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(4)]
    async with quick.client() as client:
        runs = [await ask(client, f"patience {number}") for number in range(4)]
        for run_id in runs:
            await only_order(client, run_id, OrderPhase.RUNNING)
        for burner in burners:
            burner.wait(30)
        gate.open()
        views = [await ended(client, run_id) for run_id in runs]
        for view in views:
            touched = await events_of(
                client, EventType.RECOVERY_STARTED, EventType.RECOVERY_REQUIRED, run_id=view.run.run_id
            )
            assert touched == [] and view.orders[0].attempt == 1
    assert all(view.run.status is RunStatus.COMPLETE for view in views)


@pytest.mark.trust
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_a_watchdog_does_not_believe_dead_units(
    quick: FleetUnderTest, provider: Provider, number: signal.Signals
) -> None:
    """A unit that was killed or stopped is found within three intervals of its lease."""
    gate = Gate()
    word = f"gone-{number.name}"
    provider.on(word, gate)
    async with quick.client() as client:
        run_id = await ask(client, word)
        await only_order(client, run_id, OrderPhase.RUNNING)
        quick.kill("worker", number)
        gate.open()
        try:
            with quick.stand_in(Service.WORKER) if number is signal.SIGSTOP else nullcontext():
                view = await ended(client, run_id)
        finally:
            quick.kill("worker", signal.SIGCONT)
        started = await events_of(client, EventType.RECOVERY_STARTED, run_id=run_id)
    assert view.run.status is RunStatus.COMPLETE
    assert [event.payload["rule"] for event in started] == ["lost_unit"]


@pytest.mark.parametrize(("policy", "status"), [("continue", RunStatus.COMPLETE), ("fail", RunStatus.FAILED)])
async def test_a_run_is_never_left_open_by_an_order_that_failed(
    quick: FleetUnderTest, policy: OnOrderFailure, status: RunStatus
) -> None:
    """One of two orders spends its only attempt; the policy says what becomes of the run."""
    async with quick.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=DRILL_THEATER))
        request = api.ChatRequest(
            message="fail",
            mode="async",
            theater_hint=DRILL_THEATER,
            playbook=DRILL,
            inputs={"faults": ["hang"]},
            constraints=Constraints(budget_seconds=1, max_retries=0),
            on_order_failure=policy,
        )
        view = await ended(client, (await client.call(api.CHAT, request)).run_id)
    assert view.run.status is status
    assert {order.phase for order in view.orders} == {OrderPhase.INTEGRATED, OrderPhase.FAILED}
    said = view.run.reply if policy == "continue" else view.run.reason
    assert "budget of 1 s is spent" in (said or "")


async def test_a_failed_order_is_replanned_when_the_run_says_so(
    quick: FleetUnderTest, provider: Provider
) -> None:
    """The model fails twice for the first order, which spends its retries; its replacement succeeds."""
    provider.on("stubborn", lambda: (400, "no") if provider.count("stubborn") <= 2 else (200, "at last"))
    said = quick.cli("chat", "write stubborn", "--playbook", "draft", "--on-order-failure", "replan")
    assert "at last" in said
