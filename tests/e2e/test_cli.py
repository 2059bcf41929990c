"""The `ironclaw` command as a user runs it."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import SERVICE_PORTS
from tests.support.fleet import FleetUnderTest
from tests.support.git import git, make_repository
from tests.support.processes import alive, descendants
from tests.support.waiting import until


def heed_interrupts() -> None:
    """A shell that runs the tests in the background has its children ignore the interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def run_id(fleet: FleetUnderTest) -> str:
    """A run that has ended."""
    return fleet.cli_json("chat", "Draft a short letter", "--deadline", "60")["run"]["run_id"]


@pytest.fixture
def order(fleet: FleetUnderTest, run_id: str) -> dict[str, object]:
    """The order of a run that has ended."""
    return fleet.cli_json("orders", "--run", run_id, "--status", "COMPLETED", "--limit", "5")["orders"][0]


def test_given_a_message_when_chatting_then_progress_and_reply_are_printed(fleet: FleetUnderTest) -> None:
    said = fleet.cli(
        "chat",
        "Draft a toast",
        "--playbook",
        "draft",
        "--input",
        'text="The river carries our boats and feeds our mills."',
    )
    assert "merged" in said and "Outline: Draft a toast" in said and "feeds our mills" in said


def test_given_detach_when_chatting_then_the_run_can_be_followed(fleet: FleetUnderTest) -> None:
    answer = json.loads(fleet.cli("chat", "Draft a song", "--detach", "--theater", "main", "--json"))
    said = fleet.cli("run", answer["run_id"], "--follow")
    assert "Draft a song" in said


def test_given_a_playbook_that_does_not_exist_when_chatting_then_exit_1_and_the_known_ones(
    fleet: FleetUnderTest,
) -> None:
    said = fleet.cli("chat", "x", "--playbook", "juggle", code=1)
    assert "draft, drill, replay, summarize" in said and "Traceback" not in said


def test_given_a_run_when_listed_and_shown_then_it_is_there_now_and_as_of_then(
    fleet: FleetUnderTest, run_id: str
) -> None:
    assert run_id in fleet.cli("runs", "--limit", "3")
    found = fleet.cli_json("runs", "--status", "COMPLETE", "--theater", "main")["runs"]
    assert found[0]["run_id"] == run_id
    then = fleet.cli_json("run", run_id, "--at-seq", str(found[0]["first_seq"]))
    assert then["run"]["status"] == "OPEN"
    assert "COMPLETE" in fleet.cli("run", run_id)


def test_given_an_order_when_shown_then_commit_and_artifact_are_named_and_can_be_fetched(
    fleet: FleetUnderTest, order: dict[str, object], tmp_path: Path
) -> None:
    order_id, path = str(order["order_id"]), str(order["artifacts"][0]["path"])  # type: ignore[index]
    shown = fleet.cli("order", order_id)
    assert str(order["commit_sha"]) in shown and path in shown
    assert order_id in fleet.cli("orders", "--limit", "100")
    target = tmp_path / "artifact.md"
    fleet.cli("artifact", order_id, path, "--output", str(target))
    assert target.read_text() == fleet.cli("artifact", order_id, path)


def test_given_an_ended_run_and_order_when_asked_why_then_it_says_so(
    fleet: FleetUnderTest, order: dict[str, object]
) -> None:
    assert "has ended: INTEGRATED" in fleet.cli("why", str(order["order_id"]))
    assert fleet.cli_json("why", str(order["run_id"]))["terminal"] is True


def test_given_an_ended_run_when_cancelled_then_exit_1_names_its_state(
    fleet: FleetUnderTest, run_id: str
) -> None:
    assert "COMPLETE" in fleet.cli("cancel", run_id, "--reason", "too late", code=1)


def test_given_events_when_listed_then_they_can_be_narrowed(
    fleet: FleetUnderTest, order: dict[str, object]
) -> None:
    order_id, run_id = str(order["order_id"]), str(order["run_id"])
    every = fleet.cli_json("events", "--run", run_id, "--limit", "200")["events"]
    assert [event["seq"] for event in every] == sorted(event["seq"] for event in every)
    merged = fleet.cli_json("events", "--order", order_id, "--type", "INTEGRATED")["events"]
    assert len(merged) == 1
    newest = fleet.cli_json("events", "--run", run_id, "--newest", "--limit", "2")["events"]
    assert [event["seq"] for event in newest] == [every[-1]["seq"], every[-2]["seq"]]
    before = fleet.cli_json("events", "--run", run_id, "--before", str(every[1]["seq"]))["events"]
    assert [event["seq"] for event in before] == [every[0]["seq"]]
    elsewhere = fleet.cli_json("events", "--run", run_id, "--theater", "elsewhere")["events"]
    assert elsewhere == []
    assert fleet.cli_json("events", "--run", run_id, "--after", str(every[-1]["seq"]))["events"] == []
    assert "ORDER_CREATED" in fleet.cli("events", "--run", run_id)


def test_given_a_folder_and_a_repository_when_added_as_theaters_then_they_are_listed_with_history(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.txt").write_text("a\n")
    repository = make_repository(tmp_path / "mine", {"b.txt": "b\n"})
    fleet.cli("theater", "add", "imported", str(folder), "--import-files")
    fleet.cli("theater", "add", "opened", str(repository))
    assert {"imported", "opened"} <= {t["theater_id"] for t in fleet.cli_json("theater", "list")["theaters"]}
    assert "Begin" in fleet.cli("theater", "log", "opened", "--limit", "3")
    assert "imported" in fleet.cli("theater", "list")
    assert fleet.cli_json("theater", "log", "imported")["mainline"] == "main"
    assert "exists on" in fleet.cli("theater", "add", "opened", str(folder), code=1)
    assert git(repository, "status", "--porcelain") == ""


def test_given_a_path_outside_the_allowed_roots_when_added_then_exit_4_names_the_mend(
    fleet: FleetUnderTest,
) -> None:
    assert "IRONCLAW_VAULT_ALLOWED_ROOTS" in fleet.cli("theater", "add", "etc", "/etc", code=4)


def test_given_the_ledger_when_verified_exported_and_rebuilt_then_it_proves_itself(
    fleet: FleetUnderTest, run_id: str, tmp_path: Path
) -> None:
    assert "the chain holds" in fleet.cli("ledger", "verify")
    target = tmp_path / "ledger.jsonl"
    fleet.cli("ledger", "export", str(target))
    assert "the chain holds" in fleet.cli("ledger", "verify", str(target))
    assert fleet.cli_json("ledger", "rebuild")["differing"] == []
    key = json.loads(target.read_text().splitlines()[-1])["public_key"]
    assert fleet.cli_json("ledger", "verify", str(target), "--key", key)["ok"] is True
    lines = target.read_text().splitlines()
    target.write_text("\n".join([*lines[:4], *lines[5:]]) + "\n")
    assert "broken at seq 5" in fleet.cli("ledger", "verify", str(target), code=1)
    assert "cannot be read" in fleet.cli("ledger", "verify", str(tmp_path / "none"), code=1)


def test_given_patrols_when_run_by_hand_then_they_report(fleet: FleetUnderTest, run_id: str) -> None:
    assert "interventions" in fleet.cli_json("patrol")["figures"]
    assert fleet.cli_json("patrol", "main")["theater_id"] == "main"
    assert fleet.cli("patrol") != ""


def test_given_a_merged_order_when_integrated_again_then_it_says_where_it_stands(
    fleet: FleetUnderTest, order: dict[str, object]
) -> None:
    said = fleet.cli("integrate", str(order["order_id"]), "--theater", "main")
    assert "INTEGRATED" in said


@pytest.mark.parametrize("kind", ["order", "aar", "state", "job"])
def test_given_a_kind_when_its_schema_is_asked_then_it_is_json_schema(
    fleet: FleetUnderTest, kind: str
) -> None:
    assert "$ref" in json.loads(fleet.cli("schema", kind))


def test_given_a_new_key_when_used_and_revoked_then_it_opens_and_closes(fleet: FleetUnderTest) -> None:
    made = fleet.cli_json("keys", "create", "ann", "--role", "user", "--rate", "600", "--burst", "50")
    secret, key_id = made["secret"], made["key"]["key_id"]
    fleet.environ["IRONCLAW_API_KEY"] = secret
    try:
        assert fleet.cli("runs", "--limit", "1")
        assert "may not call" in fleet.cli("events", code=4)
    finally:
        del fleet.environ["IRONCLAW_API_KEY"]
    assert secret not in fleet.cli("keys", "list") and "ann" in fleet.cli("keys", "list")
    fleet.cli("keys", "revoke", key_id)
    time.sleep(2.1)
    fleet.environ["IRONCLAW_API_KEY"] = secret
    try:
        assert "revoked" in fleet.cli("runs", code=4)
    finally:
        del fleet.environ["IRONCLAW_API_KEY"]


def test_given_a_fleet_when_its_status_and_logs_are_asked_then_they_are_shown(fleet: FleetUnderTest) -> None:
    assert "duty_officer" in fleet.cli("status")
    assert all(service["ready"] for service in fleet.cli_json("status")["services"])
    assert fleet.cli("logs", "ledger", "--lines", "5").count("\n") <= 5
    following = subprocess.Popen(
        [sys.executable, "-m", "ironclaw_fleet", "logs", "ledger", "--follow"],
        env=fleet.environ,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert following.stdout is not None and following.stdout.readline() != ""
    following.send_signal(signal.SIGINT)
    assert following.wait(10) == 130


def test_given_a_running_fleet_when_started_again_then_exit_2_names_its_pid(fleet: FleetUnderTest) -> None:
    assert str(fleet.pid) in fleet.cli("up", code=2)


def test_given_bad_usage_when_run_then_exit_2_without_a_traceback(fleet: FleetUnderTest) -> None:
    for arguments in (
        ("juggle",),
        ("run",),
        ("orders", "--limit", "many"),
        ("keys", "create", "x", "--role", "king"),
    ):
        said = fleet.cli(*arguments, code=2)
        assert "Traceback" not in said
    assert "name=value" in fleet.cli("chat", "x", "--input", "novalue", code=2)


def test_given_no_fleet_when_asked_then_exit_3_says_how_to_start_one(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    environ = {**fleet.environ, "IRONCLAW_HOME": str(tmp_path / "empty")}
    done = subprocess.run(
        [sys.executable, "-m", "ironclaw_fleet", "runs"], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 3 and "ironclaw up" in done.stderr and "Traceback" not in done.stderr
    environ |= {"IRONCLAW_URL": "http://127.0.0.1:9", "IRONCLAW_API_KEY": "ick_operator_" + "x" * 43}
    done = subprocess.run(
        [sys.executable, "-m", "ironclaw_fleet", "runs"], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 3 and "cannot be reached" in done.stderr


def test_given_detach_and_workers_when_started_then_down_stops_everything(open_path: Path) -> None:
    fleet = FleetUnderTest(open_path / "detached", {}, ())
    fleet.cli("up", "--detach", "--workers", "2", "--port-base", str(fleet.port_base))
    record = fleet.state.read_fleet()
    assert record is not None
    processes = {record.pid, *descendants(record.pid)}
    assert len(processes) > len(SERVICE_PORTS)
    assert (fleet.state.logs / "worker-2.log").exists()
    assert "stopped" in fleet.cli("down")
    assert fleet.state.holder() is None
    assert [pid for pid in processes if alive(pid)] == []
    assert "no fleet runs" in fleet.cli("down")


def test_given_a_merged_order_when_its_diff_is_asked_for_then_the_patch_is_printed(
    fleet: FleetUnderTest, order: dict[str, object]
) -> None:
    said = fleet.cli("diff", str(order["order_id"]))
    assert said.startswith("diff --git") and "+++ b/outputs/" in said
    found = fleet.cli_json("diff", str(order["order_id"]))
    assert found["paths"] == [artifact["path"] for artifact in order["artifacts"]]  # type: ignore[attr-defined]
    assert "there is no order" in fleet.cli("diff", "unknown", code=1)


async def test_given_a_merged_run_when_the_command_center_is_asked_for_then_nodes_milestones_and_demand_are_told(
    fleet: FleetUnderTest, run_id: str
) -> None:
    async with fleet.client() as client:

        async def told() -> bool | None:
            feed = (await client.call(api.COMMAND_CENTER)).feed
            return True if any(run_id in milestone.claim for milestone in feed) else None

        await until(told, what="the run's milestone")
    found = fleet.cli_json("center")
    assert len(found["overview"]["proofNodes"]) == 6
    assert {s["state"] for s in found["demand"]["segments"]} <= {"hot", "warm", "idle"}
    said = fleet.cli("center", "--limit", "50")
    assert run_id in said and "proof node" in said and "demand, " in said


def test_given_no_terminal_when_the_fleet_is_watched_then_it_is_shown_once(fleet: FleetUnderTest) -> None:
    said = fleet.cli("top")
    assert "services ready" in said and "escalations" in said
    glance = fleet.cli_json("top")
    assert glance["services"] == len(ALL) - 1 and glance["not_ready"] == {}


def test_given_a_terminal_when_the_fleet_is_watched_then_it_is_drawn_until_ctrl_c(
    fleet: FleetUnderTest,
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ironclaw_fleet", "top"]
    process = subprocess.Popen(
        command,
        env=fleet.environ | {"TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
        preexec_fn=heed_interrupts,
    )
    os.close(theirs)
    drawn = b""
    while b"Ctrl-C ends it" not in drawn:
        drawn += os.read(ours, 65_536)
    process.send_signal(signal.SIGINT)
    threading.Thread(target=_drained, args=(ours,), daemon=True).start()
    assert process.wait(20) == 130 and b"services ready" in drawn


def _drained(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65_536):
            pass
