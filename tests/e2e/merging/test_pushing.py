"""What is promoted goes to the operator's remote; a remote that went its own way stops no merge."""

from pathlib import Path

import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EscalationsQuery
from ironclaw_contracts.enums import RunStatus
from tests.support.fleet import FleetUnderTest
from tests.support.git import git, make_repository
from tests.support.suites import GATES, PACKAGE, edit, open_theater, order_work
from tests.support.units import scripted_units
from tests.support.waiting import ended, until


async def test_given_a_remote_when_work_is_promoted_then_it_follows_and_its_own_commits_are_never_lost(
    idle_fleet: FleetUnderTest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    remote = tmp_path_factory.getbasetemp() / "remote.git"
    remote.mkdir()
    git(remote, "init", "-q", "--bare", "-b", "main")
    async with idle_fleet.client() as client, scripted_units(idle_fleet, edit):
        theater = await open_theater(client, tmp_path, GATES, PACKAGE, theater="pushed")
        repository = tmp_path / theater
        run_id = await order_work(client, theater, {"one.md": "one\n"})
        assert (await ended(client, run_id, 90)).run.status is RunStatus.COMPLETE

        async def followed() -> bool | None:
            there = git(remote, "for-each-ref", "--format=%(objectname)", "refs/heads/main")
            return there == git(repository, "rev-parse", "main") or None

        await until(followed, 30, "the push")
        other = make_repository(tmp_path / "other", {"x": "x\n"})
        git(other, "pull", "-q", "--rebase", str(remote), "main")
        git(other, "push", "-q", str(remote), "HEAD:main")
        theirs = git(remote, "rev-parse", "main")
        run_id = await order_work(client, theater, {"two.md": "two\n"})
        assert (await ended(client, run_id, 90)).run.status is RunStatus.COMPLETE

        async def told() -> bool | None:
            raised = (await client.call(api.LIST_ESCALATIONS, query=EscalationsQuery())).escalations
            return (
                any(one.subject == "push:pushed" and "merge them first" in one.reason for one in raised)
                or None
            )

        await until(told, 30, "being told")
        assert git(remote, "rev-parse", "main") == theirs
        git(repository, "pull", "-q", "--no-rebase", "--no-edit", str(remote), "main")
        run_id = await order_work(client, theater, {"three.md": "three\n"})
        assert (await ended(client, run_id, 90)).run.status is RunStatus.COMPLETE
        await until(followed, 90, "the push after the merge")
