"""Gates of gates.toml on a real repository: what passes is merged, what fails is not, what cannot run waits."""

import asyncio
from pathlib import Path

import pytest

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.events import EventType
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.suites import GATES, PACKAGE, edit, events_of, only_order, open_theater, order_work
from tests.support.units import scripted_units
from tests.support.waiting import ended


async def test_given_a_suite_when_work_passes_or_breaks_it_then_only_the_first_is_merged_with_outputs_kept(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, GATES, PACKAGE)
        good = await order_work(client, theater, {"src/tally/part_1.py": "def value():\n    return 2 - 1\n"})
        bad = await order_work(client, theater, {"src/tally/part_2.py": "def value():\n    return 9\n"})
        done, failed = await asyncio.gather(ended(client, good, 120), ended(client, bad, 120))
        assert done.run.status is RunStatus.COMPLETE, done.run.reason
        assert failed.run.status is RunStatus.FAILED
        refusals = await events_of(client, failed.orders[0].order_id, EventType.INTEGRATION_FAILED)
        tests = next(gate for gate in refusals[0].payload["gates"] if gate["gate"] == "tests")
        assert tests["verdict"] == "failed" and "30 tests ran" in tests["detail"]
        printed = (await client.call(api.READ_OUTPUT, output_id=tests["output"])).decode()
        assert "test_value[2]" in printed and "1 failed, 29 passed" in printed
        shown = await client.call(api.SHOW_GATES, theater_id=theater)
        (merged,) = await events_of(client, done.orders[0].order_id, EventType.INTEGRATED)
        git(tmp_path / theater, "rm", "-q", ".ironclaw/gates.toml")
        git(tmp_path / theater, "commit", "-q", "-m", "Ask for no tests any more")
        now = await client.call(api.SHOW_GATES, theater_id=theater)
        then = await client.call(api.SHOW_GATES, query=AsOfQuery(str(merged.seq)), theater_id=theater)
    assert "tests" not in {gate.gate for gate in now.gates} and now.head != then.head == shown.head
    assert [(g.gate, g.kind, g.run) for g in then.gates] == [(g.gate, g.kind, g.run) for g in shown.gates]
    assert {gate.state for gate in then.gates} == {"unknown"}
    assert {gate.state for gate in shown.gates} == {"alive"}
    assert {"tests", "path_policy", "secret_scan", "size"} <= {gate.gate for gate in shown.gates}
    assert "1 failed" in shown.gates[-1].detail


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (GATES.replace('"python", "-m", "pytest"', '"no-such-tool"'), "not installed"),
        (GATES.replace('["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]', '["sh", "-c", "exit 127"]'), "127"),
        (GATES.replace('"-q"', '"-q", "-k", "nothing_is_called_so"'), "0 tests ran"),
        (GATES.replace('"python", "-m", "pytest"', '"true"'), "nothing shows that any test ran"),
        (GATES.replace("wall_seconds = 120", "output_kib = 1").replace('"-q"', '"-vv"'), "output was cut"),
    ],
    ids=["missing tool", "exit 127", "no test selected", "a runner that runs nothing", "truncated output"],
)  # fmt: skip
async def test_given_a_gate_that_cannot_run_when_work_is_ready_then_it_waits_and_the_reason_is_told(
    idle_fleet: FleetUnderTest, tmp_path: Path, gates: str, said: str
) -> None:
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, gates, PACKAGE)
        run_id = await order_work(client, theater, {"notes.md": "a note\n"})
        order = await only_order(client, run_id, OrderPhase.HELD)
        assert order.hold is not None and said in order.hold
        why = await client.call(api.WHY_ORDER, order_id=order.order_id)
        assert why.blocker == "merge_held" and said in why.chain[-1].next_action
        repository = tmp_path / theater
        assert git(repository, "rev-list", "--count", "main") == "1"
        # Mended on the mainline by its owner, the merge goes on by itself.
        (repository / ".ironclaw/gates.toml").write_text(GATES)
        git(repository, "commit", "-q", "-am", "Mend the gate")
        assert (await ended(client, run_id, 90)).run.status is RunStatus.COMPLETE
