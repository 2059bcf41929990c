"""A backup restores into a fresh fleet whose chain and repositories verify, as it was or as of earlier."""

import json
import os
import shutil
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_fleet.backup import package
from ironclaw_fleet.backup.manifest import Broken, Manifest
from tests.chaos.test_storm import QUICK
from tests.support.fleet import FleetUnderTest
from tests.support.git import git, make_repository
from tests.support.waiting import ended


@pytest.fixture(scope="module")
def first(open_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """The fleet that is backed up, with a theater of its own and one on a user's repository."""
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    with FleetUnderTest.started(open_root / "first", {}, allowed) as running:
        yield running


@pytest.fixture(scope="module")
def history(first: FleetUnderTest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Runs, a milestone, a key and a point in between."""
    own = make_repository(
        tmp_path_factory.mktemp("own") / "repository", {"docs/a.md": "# A\n\nThe river rises.\n"}
    )
    first.cli("theater", "add", "mine", str(own))
    early = first.cli_json("chat", "Draft a letter")["run"]
    mine = first.cli_json("chat", "Summarize docs/", "--theater", "mine")["run"]
    assert (early["status"], mine["status"]) == ("COMPLETE", "COMPLETE")
    between = first.cli_json("events", "--limit", "1")["head_seq"]
    time.sleep(0.05)
    late = first.cli_json("chat", "Draft another letter")["run"]
    first.cli("keys", "create", "late")
    return {"early": early, "mine": mine, "between": between, "late": late, "repository": own}


@pytest.fixture(scope="module")
def backup(first: FleetUnderTest, history: dict[str, Any]) -> Path:
    target = first.state.path / "fleet.backup"
    said = first.cli("backup", str(target))  # while the fleet runs
    assert "ledger up to seq" in said
    assert target.stat().st_mode & 0o777 == 0o600
    return target


def runs_of(fleet: FleetUnderTest) -> list[Any]:
    return fleet.cli_json("runs", "--limit", "1000")["runs"]


def heads_of(fleet: FleetUnderTest) -> dict[str, str]:
    return {t["theater_id"]: t["head"] for t in fleet.cli_json("theater", "list")["theaters"]}


@pytest.mark.trust
def test_given_a_backup_of_a_running_fleet_when_restored_then_chain_state_and_repositories_are_the_same(
    first: FleetUnderTest, history: dict[str, Any], backup: Path, open_root: Path
) -> None:
    fresh = FleetUnderTest(open_root / "fresh", {}, ())
    restored = json.loads(fresh.cli("restore", str(backup), "--json"))
    assert restored["theaters"] == heads_of(first)
    fresh.up()
    try:
        assert fresh.cli_json("ledger", "verify")["ok"]
        rebuilt = fresh.cli_json("ledger", "rebuild")
        assert rebuilt["differing"] == []
        assert rebuilt["state_sha256"] == first.cli_json("ledger", "rebuild")["state_sha256"]
        assert runs_of(fresh) == runs_of(first) and heads_of(fresh) == heads_of(first)
        head = restored["head_seq"]
        kept = fresh.cli_json("events", "--after", str(head - 1), "--limit", "1")["events"][0]
        assert kept["hash"] == restored["head_hash"]
        assert kept == first.cli_json("events", "--after", str(head - 1), "--limit", "1")["events"][0]
        for name in ("main", "mine"):
            repository = fresh.state.vault / "theaters" / name / "repo"
            git(repository, "fsck", "--strict")
            assert git(repository, "rev-parse", "main") == heads_of(first)[name]
        order = fresh.cli_json("orders", "--run", history["mine"]["run_id"])["orders"][0]
        path = order["artifacts"][0]["path"]
        assert fresh.cli("artifact", order["order_id"], path) == first.cli(
            "artifact", order["order_id"], path
        )
        receipt = fresh.state.path / "r.jsonl"
        fresh.cli("receipt", history["early"]["run_id"], "--output", str(receipt))
        assert "holds" in fresh.cli(
            "verify-receipt", str(receipt), "--key", str(first.state.keys / "ledger.pub")
        )
        assert [k["name"] for k in fresh.cli_json("keys", "list")["keys"]].count("late") == 1
        milestones = {
            m["idempotency_key"] for m in fresh.cli_json("milestones", "list", "--limit", "200")["records"]
        }
        assert milestones
        # It works on: its own new work stands on what was restored.
        assert fresh.cli_json("chat", "Draft a third letter")["run"]["status"] == "COMPLETE"
        assert fresh.cli_json("chat", "Summarize docs/", "--theater", "mine")["run"]["status"] == "COMPLETE"
        assert fresh.cli_json("ledger", "verify")["ok"]
    finally:
        fresh.down()
    # The user's own repository was not touched: what came back is the vault's copy.
    assert git(history["repository"], "rev-parse", "main") == heads_of(first)["mine"]
    assert "holds a fleet already" in fresh.cli("restore", str(backup), code=1)


@pytest.mark.trust
def test_given_an_earlier_point_when_restored_then_nothing_later_is_there(
    first: FleetUnderTest, history: dict[str, Any], backup: Path, open_root: Path
) -> None:
    past = FleetUnderTest(open_root / "past-point", {}, ())
    between = str(history["between"])
    restored = json.loads(past.cli("restore", str(backup), "--as-of", between, "--json"))
    assert restored["head_seq"] == history["between"]
    then = {
        t["theater_id"]: t["head"] for t in first.cli_json("theater", "list", "--as-of", between)["theaters"]
    }
    assert restored["theaters"] == then != heads_of(first)
    past.up()
    try:
        assert past.cli_json("ledger", "verify")["ok"]
        assert past.cli_json("ledger", "rebuild")["differing"] == []
        assert runs_of(past) == first.cli_json("runs", "--as-of", between, "--limit", "1000")["runs"]
        assert {run["run_id"] for run in runs_of(past)} == {history[n]["run_id"] for n in ("early", "mine")}
        assert "late" not in [key["name"] for key in past.cli_json("keys", "list")["keys"]]
        assert past.cli_json("chat", "Draft what never was")["run"]["status"] == "COMPLETE"
    finally:
        past.down()


def test_given_a_fleet_that_stands_still_when_backed_up_then_it_is_the_same_backup(
    first: FleetUnderTest, backup: Path, open_root: Path
) -> None:
    still = FleetUnderTest(open_root / "still", {}, ())
    restored = json.loads(still.cli("restore", str(backup), "--json"))
    target = open_root / "still.backup"
    kept = json.loads(still.cli("backup", str(target), "--json"))
    assert kept["head_seq"] == restored["head_seq"] and set(kept["theaters"]) == {"main", "mine"}
    fresh = FleetUnderTest(open_root / "still-again", {}, ())
    assert json.loads(fresh.cli("restore", str(target), "--json")) == restored
    fresh.up()
    try:
        assert runs_of(fresh) == runs_of(first) and heads_of(fresh) == heads_of(first)
    finally:
        fresh.down()


@pytest.mark.trust
async def test_given_orders_in_flight_when_restored_elsewhere_then_they_are_done_again_and_none_twice(
    open_root: Path,
) -> None:
    old = FleetUnderTest(open_root / "busy", {**QUICK, "IRONCLAW_WORKER_UNITS_MAX": "1"}, ())
    old.up()
    target = open_root / "busy.backup"
    try:
        ids = [json.loads(old.cli("chat", f"Draft {n}", "--detach", "--json"))["run_id"] for n in range(3)]
        old.kill("worker", signal.SIGSTOP)
        ids.append(json.loads(old.cli("chat", "Draft on", "--detach", "--json"))["run_id"])
        time.sleep(1.0)
        old.cli("backup", str(target))
        waiting = [
            o for o in old.cli_json("orders")["orders"] if o["phase"] in {"ENQUEUED", "CLAIMED", "RUNNING"}
        ]
        assert waiting
        beside = FleetUnderTest(open_root / "beside", {}, ())
        assert "two fleets would work in it" in " ".join(beside.cli("restore", str(target), code=1).split())
    finally:
        old.down()
    (open_root / "busy").rename(open_root / "busy-moved")
    fresh = FleetUnderTest(open_root / "busy-again", QUICK, ())
    fresh.cli("restore", str(target))
    fresh.up()
    try:
        async with fresh.client() as client:
            for run_id in ids:
                view = await ended(client, run_id, 120)
                assert view.run.status == "COMPLETE", view.run.reason
            log = await client.call(api.READ_LOG, theater_id="main")
        merged = fresh.cli_json("events", "--type", "INTEGRATED", "--limit", "100")["events"]
        assert len(merged) == len({e["order_id"] for e in merged}) and log.lines
        assert fresh.cli_json("ledger", "verify")["ok"]
    finally:
        fresh.down()


@pytest.mark.parametrize("harm", ["cut", "flip", "member changed", "member missing", "no tar"])
def test_given_a_damaged_backup_when_restored_then_it_is_refused_and_says_why(
    backup: Path, tmp_path: Path, harm: str
) -> None:
    damaged = tmp_path / "damaged"
    raw = backup.read_bytes()
    if harm == "cut":
        damaged.write_bytes(raw[: len(raw) // 2])
    elif harm == "flip":
        middle = len(raw) // 2
        damaged.write_bytes(raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :])
    elif harm == "no tar":
        damaged.write_bytes(os.urandom(1000))
    else:
        folder = tmp_path / "open"
        with tarfile.open(backup) as tar:
            tar.extractall(folder, filter="data")
        member = folder / "database" / "ledger" / "events.copy"
        member.write_bytes(
            member.read_bytes().replace(b"letter", b"lettre")
        ) if harm == "member changed" else member.unlink()
        with tarfile.open(damaged, "w:gz") as tar:
            tar.add(folder, arcname=".")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(Broken):
        package.unpack(damaged, into)


def test_given_a_backup_with_a_forged_ledger_when_restored_then_the_chain_tells(
    backup: Path, open_root: Path, tmp_path: Path
) -> None:
    folder, forged = tmp_path / "open", tmp_path / "forged"
    with tarfile.open(backup) as tar:
        tar.extractall(folder, filter="data")
    events = folder / "database" / "ledger" / "events.copy"
    events.write_bytes(events.read_bytes().replace(b"Draft a letter", b"Draft a lettre", 1))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    manifest["members"] = package.digests(folder)
    package.pack(folder, msgspec.convert(manifest, Manifest), forged)
    fresh = FleetUnderTest(open_root / "forged", {}, ())
    assert "broken at seq" in fresh.cli("restore", str(forged), code=1)
    shutil.rmtree(fresh.state.path, ignore_errors=True)


def test_given_no_fleet_when_backed_up_then_it_says_so(open_root: Path) -> None:
    nobody = FleetUnderTest(open_root / "nobody", {}, ())
    assert "holds no fleet" in nobody.cli("backup", str(open_root / "none.backup"), code=1)
    assert not (open_root / "none.backup").exists()
