"""A report that claims what was not so is found out, typed, and counted against its profile."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ironclaw_contracts.artifacts import TRANSCRIPT_FILE, Aar, Claims, Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import integration
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transcript import Run, ToolCall, encode_transcript
from tests.support.fleet import FleetUnderTest
from tests.support.suites import GATES, PACKAGE, edit, events_of, open_theater, order_work
from tests.support.units import scripted_units
from tests.support.waiting import ended

PYTEST = ["python", "-m", "pytest", "-q"]
_ONCE = Constraints(max_retries=0)


def work_and_test(order: OrderSnapshot, tree: Path) -> None:
    """Edit, and leave the transcript of one run of the tests, which failed."""
    edit(order, tree)
    run = Run(argv=PYTEST, ended="exited", tier="landlock", exit_code=1, stdout="1 failed in 0.1s")
    call = ToolCall(number=1, tool="run", at=datetime.now(UTC), outcome="done", run=run)
    (tree / TRANSCRIPT_FILE).write_bytes(encode_transcript([call]))


def boast(order: OrderSnapshot, aar: Aar) -> Aar:
    """Claim that the tests passed."""
    artifacts = [one for one in aar.artifacts if one.path != TRANSCRIPT_FILE]
    claims = Claims(commands=[PYTEST], files_changed=["notes.md"], tests_passed=True)
    return msgspec.structs.replace(aar, artifacts=artifacts, claims=claims)


def confess(order: OrderSnapshot, aar: Aar) -> Aar:
    """Claim what the transcript shows."""
    boasted = boast(order, aar)
    assert boasted.claims is not None
    return msgspec.structs.replace(
        boasted, claims=msgspec.structs.replace(boasted.claims, tests_passed=False)
    )


async def test_given_a_report_that_lies_about_its_tests_when_judged_then_it_is_refused_typed_and_counted(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client:
        theater = await open_theater(client, tmp_path, GATES, PACKAGE)
        before = {one.profile: one for one in (await client.call(api.REPORT_FIGURES)).figures}
        async with scripted_units(idle_fleet, work_and_test, boast):
            view = await ended(client, await order_work(client, theater, {"notes.md": "x\n"}, _ONCE), 90)
        assert view.run.status is RunStatus.FAILED
        (refusal,) = await events_of(client, view.orders[0].order_id, EventType.INTEGRATION_FAILED)
        report = next(gate for gate in refusal.payload["gates"] if gate["gate"] == "report")
        assert (report["verdict"], report["mismatches"]) == ("failed", ["tests_failed"])
        async with scripted_units(idle_fleet, work_and_test, confess):
            view = await ended(client, await order_work(client, theater, {"notes.md": "x\n"}, _ONCE), 90)
        assert view.run.status is RunStatus.COMPLETE
        profile = view.orders[0].order.profile.name
        async with idle_fleet.as_service(Service.API_GATEWAY) as gateway:
            figures = (await gateway.call(integration.REPORT_FIGURES)).figures
        now = next(one for one in figures if one.profile == profile)
        was = before.get(profile)
        assert now.wrong == (was.wrong if was else 0) + 1
        assert now.reports >= (was.reports if was else 0) + 2 and now.kinds["tests_failed"] >= 1
    assert "tests_failed" in idle_fleet.cli("gates", "reports")
