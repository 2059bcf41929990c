"""The merge queue under a load of good, bad and conflicting work at once."""

import json
import re
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.suites import GATES, PACKAGE, events_of, open_theater, suite_passes
from tests.support.waiting import ended

_PROGRAM = """
import pathlib, re, sys
path = pathlib.Path(sys.argv[1])
number = int(re.search(r"part_(\\d+)", path.name).group(1))
answer = 0 if number in (24, 25, 26) else f"{number + 1} - 1"
path.write_text(f"def value():\\n    return {answer}\\n")
if number > 26:
    pathlib.Path("shared.txt").write_text(f"version {number}\\n")
"""
"""Upgrades a part: three of the thirty break their test, and three write the same line besides."""


@pytest.mark.timeout(900)
async def test_given_a_codemod_of_thirty_orders_when_three_break_tests_and_two_conflict_then_the_rest_is_merged(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    policy = {".ironclaw/policy.toml": '[commands]\nallow = ["python3"]\n'}
    request = api.ChatRequest(
        message="upgrade every part",
        mode="async",
        playbook="codemod",
        inputs={"command": ["python3", "-c", _PROGRAM], "pattern": "src/tally/part_*.py", "split": "file"},
        constraints=Constraints(max_retries=0),
    )
    async with idle_fleet.client() as client:
        theater = await open_theater(client, tmp_path, GATES, {**PACKAGE, **policy})
        idle_fleet.kill(Service.WORKER, signal.SIGCONT)
        asked = msgspec.structs.replace(request, theater_hint=theater)
        view = await ended(client, (await client.call(api.CHAT, asked)).run_id, 700)
        idle_fleet.kill(Service.WORKER, signal.SIGSTOP)
        assert view.run.status is RunStatus.COMPLETE, view.run.reason
        parts = [order for order in view.orders if order.replaces is None]
        orders = {int(re.findall(r"part_(\d+)", order.title)[0]): order for order in parts}
        assert sorted(orders) == list(range(30))
        bad = [orders.pop(number) for number in (24, 25, 26)]
        same = [orders.pop(number) for number in (27, 28, 29)]
        assert {(order.phase, order.attempt) for order in orders.values()} == {(OrderPhase.INTEGRATED, 1)}
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
    merged = [o for o in [*orders.values(), *same] if o.phase is OrderPhase.INTEGRATED]
    done = sum(order.phase is OrderPhase.INTEGRATED for order in view.orders)
    assert f"{done} of 30 parts are merged" in (view.run.reply or "")

    repository = tmp_path / theater
    history = git(repository, "rev-list", "--first-parent", "main").splitlines()
    subjects = git(repository, "log", "--first-parent", "--format=%s", "main")
    assert len(history) < 25 and "orders" in subjects, subjects  # batches were promoted as one step
    for number, commit in enumerate(history):
        assert suite_passes(repository, commit, tmp_path / f"at-{number}"), commit
    for order in merged:
        git(repository, "merge-base", "--is-ancestor", str(order.merge_commit), "main")
    assert git(repository, "status", "--porcelain") == ""
    tried = gate_runs(idle_fleet, repository)
    assert len(tried) > len(history) and len(tried) == len(set(tried)), "bisection judged a tree again"


def gate_runs(fleet: FleetUnderTest, repository: Path) -> list[str]:
    """The trees that the gates' commands were run on, from integration's log."""
    lines = (fleet.state.logs / "integration.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if '"gate run"' in line]
    commits = [event["commit"] for event in events if event.get("event") == "gate run"]
    objects = "".join(f"{commit}^{{tree}}\n" for commit in commits)
    known = subprocess.run(
        ["git", "-C", str(repository), "cat-file", "--batch-check"],
        input=objects,
        text=True,
        capture_output=True,
    )
    return [line.split()[0] for line in known.stdout.splitlines() if not line.endswith("missing")]


def test_given_a_priority_when_chatting_then_every_order_of_the_run_has_it(
    fleet: FleetUnderTest,
) -> None:
    run_id = fleet.cli_json("chat", "Draft a note", "--priority", "7", "--detach")["run_id"]
    for _ in range(100):
        orders = fleet.cli_json("run", run_id)["orders"]
        if orders:
            break
    assert [order["order"]["constraints"]["priority"] for order in orders] == [7]
