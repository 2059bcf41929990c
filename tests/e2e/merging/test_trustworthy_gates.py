"""Gates that cannot fail halt merges, a branch cannot weaken its gates, and people decide where asked."""

import hashlib
from pathlib import Path

import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import integration
from ironclaw_contracts.endpoints.ledger import EscalationsQuery
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import Conflict, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_sandbox.secretscan import fingerprint
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.suites import GATES, PACKAGE, edit, events_of, only_order, open_theater, order_work
from tests.support.units import scripted_units
from tests.support.waiting import ended

_DEAF = GATES.replace('"-p", "no:cacheprovider"]', '"-p", "no:cacheprovider", "-k", "value and 7"]')
"""The suite without the test that the planted change breaks: it runs tests, and would pass anything else."""
_ONCE = Constraints(max_retries=0)


async def test_given_a_gate_that_passes_its_planted_bad_commit_when_work_is_ready_then_merges_halt(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, _DEAF, PACKAGE)
        run_id = await order_work(client, theater, {"notes.md": "a note\n"})
        order = await only_order(client, run_id, OrderPhase.HELD)
        assert "gate tests is dead: it passed the planted bad change" in (order.hold or "")
        assert "tests\ttests\tdead" in idle_fleet.cli("gates", "show", theater, code=1)
        raised = (await client.call(api.LIST_ESCALATIONS, query=EscalationsQuery())).escalations
        assert any(one.subject == f"gates:{theater}/tests" for one in raised)
        repository = tmp_path / theater
        (repository / ".ironclaw/gates.toml").write_text(GATES)
        git(repository, "commit", "-q", "-am", "Have the gate run all tests")
        assert (await ended(client, run_id, 90)).run.status is RunStatus.COMPLETE
        proven = idle_fleet.cli_json("gates", "prove", theater)
        assert {gate["state"] for gate in proven["gates"]} == {"alive"}
        assert "failed" in idle_fleet.cli("gates", "output", proven["gates"][-1]["output"])


async def test_given_a_policy_that_lets_the_planted_secret_through_when_work_is_ready_then_merges_halt(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    planted = "AKIA" + hashlib.sha256(b"a planted secret").hexdigest().upper()[:16]
    weak = f"[secrets]\nallowed = ['{fingerprint(planted)}']\n"  # and no command at all
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, weak, PACKAGE)
        run_id = await order_work(client, theater, {"notes.md": "a note\n"})
        order = await only_order(client, run_id, OrderPhase.HELD)
        assert "gate secret_scan is dead: it passed the planted bad work" in (order.hold or "")
        assert git(tmp_path / theater, "rev-list", "--count", "main") == "1"


@pytest.mark.parametrize(
    ("edits", "gate"),
    [
        ({".ironclaw/gates.toml": "[merge]\nbatch = 1\n"}, "path_policy"),
        (
            {"tests/conftest.py": "def pytest_collection_modifyitems(items):\n    items.clear()\n"},
            "path_policy",
        ),
        ({"settings.py": f"AWS = 'AKIA{'ABCD2345' * 2}'\n"}, "secret_scan"),
        ({"big.txt": "x" * 5_000}, "size"),
    ],
    ids=["its own gates.toml", "a protected path", "a secret", "too large"],
)
async def test_given_work_that_a_policy_forbids_when_judged_then_it_is_refused_and_nothing_lands(
    idle_fleet: FleetUnderTest, tmp_path: Path, edits: dict[str, str], gate: str
) -> None:
    strict = "[paths]\nprotected = ['tests/conftest.py']\n[size]\nfile_bytes_max = 4000\n" + GATES
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, strict, PACKAGE)
        view = await ended(client, await order_work(client, theater, edits, _ONCE), 60)
        assert view.run.status is RunStatus.FAILED
        (refusal,) = await events_of(client, view.orders[0].order_id, EventType.INTEGRATION_FAILED)
        assert [g["gate"] for g in refusal.payload["gates"] if g["verdict"] == "failed"] == [gate]
        assert "AKIAABCD2345" not in str(refusal.payload)
    assert git(tmp_path / theater, "rev-list", "--count", "main") == "1"


async def test_given_a_gates_file_that_makes_no_sense_when_work_is_ready_then_it_waits_and_the_field_is_named(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, GATES.replace("kind", "knid"), PACKAGE)
        run_id = await order_work(client, theater, {"notes.md": "a note\n"})
        order = await only_order(client, run_id, OrderPhase.HELD)
        assert "knid" in (order.hold or "") and ".ironclaw/gates.toml" in (order.hold or "")
        assert "knid" in idle_fleet.cli("gates", "show", theater, code=1)
        with pytest.raises(Conflict, match="knid"):
            await client.call(api.PROVE_GATES, theater_id=theater)


async def test_given_a_theater_that_asks_for_approval_when_work_passes_then_a_person_lets_it_in_or_not(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, "[merge]\nrequire_approval = true\n" + GATES, PACKAGE)
        wanted = await order_work(client, theater, {"wanted.md": "yes\n"}, _ONCE)
        unwanted = await order_work(client, theater, {"unwanted.md": "no\n"}, _ONCE)
        yes = await only_order(client, wanted, OrderPhase.HELD)
        no = await only_order(client, unwanted, OrderPhase.HELD)
        assert "waits for a person's approval" in (yes.hold or "")
        assert yes.order_id in idle_fleet.cli("approvals", "list", theater)
        idle_fleet.cli("approvals", "decide", yes.order_id, "--note", "looks right")
        idle_fleet.cli("approvals", "decide", no.order_id, "--refuse", "--note", "not now")
        assert (await ended(client, wanted, 60)).run.status is RunStatus.COMPLETE
        assert (await ended(client, unwanted, 60)).run.status is RunStatus.FAILED
        (passed,) = await events_of(client, yes.order_id, EventType.INTEGRATION_PASSED)
        approval = next(gate for gate in passed.payload["gates"] if gate["gate"] == "approval")
        assert "operator" in approval["detail"] and "looks right" in approval["detail"]
        refusal = (await events_of(client, no.order_id, EventType.INTEGRATION_FAILED))[-1]
        assert "refused it: not now" in refusal.payload["reason"]
        with pytest.raises(Conflict, match="only work that waits"):
            await client.call(api.DECIDE, api.DecisionRequest(approved=True), order_id=yes.order_id)


async def test_given_the_gateway_when_it_asks_integration_about_gates_then_the_answers_are_its_own(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, idle_fleet.as_service(Service.API_GATEWAY) as gateway:
        theater = await open_theater(client, tmp_path, GATES, PACKAGE)
        proven = await gateway.call(integration.PROVE_GATES, theater_id=theater)
        assert {gate.state for gate in proven.gates} == {"alive"}
        shown = await gateway.call(integration.SHOW_GATES, theater_id=theater)
        assert shown == proven
        digest = shown.gates[-1].output
        assert b"1 failed" in await gateway.call(integration.READ_OUTPUT, output_id=str(digest))
        with pytest.raises(NotFound):
            await gateway.call(integration.READ_OUTPUT, output_id="0" * 64)
        decision = integration.Decision(approved=True, decided_by="somebody")
        with pytest.raises(NotFound):
            await gateway.call(integration.DECIDE, decision, order_id="none")
