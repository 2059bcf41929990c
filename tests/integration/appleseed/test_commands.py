"""The contract's commands as they are written, and every verb and flag of the command line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.appleseed import CASE, SAMPLES, appleseed, copy_samples, lines, make_workspace, sample

INSPECT = "python3 -m appleseed_evolution.cli inspect --config demo/appleseed.toml --write-report"
REPORT = r"""python3 -m appleseed_evolution.cli report \
  --config demo/appleseed.toml \
  --file demo/runtime_events/sample_batch.json \
  --format json \
  --write-report"""
GOVERNANCE = r"""python3 -m appleseed_evolution.cli governance \
  --config demo/appleseed.toml \
  --format markdown \
  --write-report"""
REPLAY = r"""python3 -m appleseed_evolution.cli openclaw-import \
  --config demo/appleseed.toml \
  --file demo/state/reports/latest_openclaw_operator_handoff_bundle.json"""
SESSION = "demo-openclaw-session-001"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the demo in it, as the contract's commands are run in."""
    return copy_samples(tmp_path)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder with the worked case's skills, its batch taken in."""
    make_workspace(tmp_path)
    appleseed("ingest", "--config", "appleseed.toml", cwd=tmp_path, given=json.dumps(CASE["batch"]).encode())
    return tmp_path


def shell(command: str, cwd: Path) -> str:
    """Run a command line as an operator pastes it; python3 is the one that the tests run on."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(folder: Path, *words: str, code: int = 0, given: bytes = b"") -> Any:
    said = appleseed(*words, "--config", "appleseed.toml", cwd=folder, code=code, given=given)
    return said if code else json.loads(said)


def report(folder: Path, name: str) -> Any:
    return json.loads((folder / "state" / "reports" / name).read_text())


def test_given_the_samples_when_the_contracts_commands_run_then_each_does_what_it_says(here: Path) -> None:
    imported = json.loads(
        shell(
            "appleseed openclaw-import --config demo/appleseed.toml"
            " --file demo/openclaw_sessions/sample_session.json",
            here,
        )
    )
    assert (imported["ingested"], imported["projected_feedback_records"]) == (2, 1)

    audit = json.loads(shell(INSPECT, here))
    assert audit["summary"] == {
        "session_filter": None,
        "raw_envelopes": 2,
        "displayed_raw_envelopes": 2,
        "projected_feedback_records": 1,
        "raw_only_envelopes": 1,
    }
    started, feedback = audit["audit_records"]
    assert (started["projection_status"], feedback["projection_status"]) == ("raw_only", "projected")
    assert feedback["projected_feedback"]["source_envelope_id"] == feedback["envelope_id"]
    kept = here / "demo" / "state" / "received_payloads" / f"{feedback['received_payload_sha256']}.json"
    assert kept.read_bytes() == (here / "demo/openclaw_sessions/sample_session.json").read_bytes()

    bundle = json.loads(shell(REPORT, here))
    assert bundle["report_kind"] == "runtime_session_evidence_bundle"
    assert bundle["raw_session_outcome"]["status"] == "failure"
    again = json.loads(shell(REPORT, here))
    assert (
        again["evidence"]["projected_feedback"][0]["projection_id"]
        == (bundle["evidence"]["projected_feedback"][0]["projection_id"])
    )

    assert shell(GOVERNANCE, here).startswith("# Governance")

    replayed = json.loads(shell(REPLAY, here))
    assert (replayed["ingested"], replayed["skipped_existing_envelopes"]) == (0, 2)
    assert replayed["skipped_existing_projected_feedback"] == 1
    found = {path.name for path in (here / "demo" / "state" / "reports").iterdir()}
    assert found == {
        "latest_governance_report.json",
        "latest_governance_report.md",
        "latest_openclaw_import.json",
        "latest_openclaw_operator_handoff.json",
        "latest_openclaw_operator_handoff_bundle.json",
        "latest_runtime_ingest_audit.json",
        "latest_runtime_session_report.json",
        f"openclaw_import_{SESSION}.json",
        f"openclaw_operator_handoff_{SESSION}.json",
        f"openclaw_operator_handoff_bundle_{SESSION}.json",
        f"runtime_session_report_{SESSION}.json",
        f"runtime_session_report_{SESSION}.md",
        "runtime_session_report_demo-session-001.json",
        "runtime_session_report_demo-session-001.md",
    }


def test_given_the_page_when_its_commands_run_in_order_then_each_works(here: Path) -> None:
    page = (SAMPLES.parent / "docs" / "appleseed.md").read_text()
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
        if not line.startswith("appleseed serve")
    ]
    assert len(commands) == 13
    for command in commands:
        # The server has tests of its own; what the page posts to it goes in by the command line here.
        posted = re.search(r"-d @(\S+)", command)
        shell(f"appleseed ingest --file {posted[1]}" if posted else command, here)
    stands = json.loads(shell("appleseed resume", here))
    assert stands["last_promotion"]["applied_proposals"] == ["prompt-code_review"]
    original = json.loads((SAMPLES / "skills" / "code_review.json").read_text())
    assert json.loads((here / "demo" / "skills" / "code_review.json").read_text()) == original


def test_given_each_sample_payload_when_ingested_verbatim_then_it_is_recorded(here: Path) -> None:
    for name, counts in (("sample_event.json", (1, 1)), ("sample_batch.json", (2, 1))):
        said = shell(
            f"python3 -m appleseed_evolution.cli ingest --config demo/appleseed.toml"
            f" --file demo/runtime_events/{name}",
            here,
        )
        answer = json.loads(said)
        assert answer["status"] == "recorded"
        assert (answer["ingested"], answer["projected_feedback_records"]) == counts
    stored = lines(here / "demo" / "state" / "runtime_event_envelopes.jsonl")
    assert stored[0] == {**(given := sample("runtime_events/sample_event.json")), "event": stored[0]["event"]}
    assert stored[0]["event"] == {**given["event"], "steps": []}


def test_given_a_bundle_when_replayed_in_a_fresh_state_then_ids_and_aliases_are_restored(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shell("appleseed openclaw-import --file demo/openclaw_sessions/sample_session.json", here)
    other = copy_samples(tmp_path_factory.mktemp("other"))
    name = "demo/state/reports/latest_openclaw_operator_handoff_bundle.json"
    first = json.loads(shell(f"appleseed openclaw-import --file {here / name}", other))
    assert first["import_mode"] == "handoff_bundle_replay" and first["ingested"] == 2
    for ledger in ("runtime_event_envelopes.jsonl", "projected_feedback.jsonl"):
        assert lines(other / "demo" / "state" / ledger) == lines(here / "demo" / "state" / ledger)
    handoff = json.loads((other / first["latest_handoff_path"]).read_text())
    assert handoff["summary"] == "Paused after rollback risk inspection."
    assert handoff["last_checkpoint"]["checkpoint_id"] == "cp-risk"
    assert handoff["missing_capabilities"] == ["database migrations"]
    for command in handoff["resume_commands"].values():
        shell(command, other)
    shell(f"appleseed openclaw-import --file {here / name}", other)
    assert len(lines(other / "demo" / "state" / "runtime_event_envelopes.jsonl")) == 2


def test_given_a_session_without_an_outcome_when_imported_then_its_resume_command_records_feedback(
    here: Path,
) -> None:
    artifact = sample("openclaw_sessions/sample_session.json")
    del artifact["outcome"]
    artifact["session"]["session_id"] = "it's; $(touch evil) --not-an-option"
    imported = json.loads(appleseed("openclaw-import", cwd=here, given=json.dumps(artifact).encode()))
    assert imported["handoff"]["session_state"] == "awaiting_feedback"
    shell(imported["handoff"]["resume_commands"]["record_feedback"], here)
    audit = json.loads(shell(imported["handoff"]["resume_commands"]["inspect"], here))
    assert audit["summary"]["session_filter"] == artifact["session"]["session_id"]
    recorded = lines(here / "demo" / "state" / "events.jsonl")[-1]
    assert recorded["event_type"] == "feedback_recorded"
    assert recorded["payload"]["session_id"] == artifact["session"]["session_id"]
    assert not (here / "evil").exists()


@pytest.mark.parametrize("session_id", ["../../escape", "a/b", "..", "x" * 5000, "\ud800\x00 é", "-rf"])
def test_given_a_session_id_that_is_no_file_name_when_imported_then_all_stays_in_the_state_directory(
    session_id: str, here: Path
) -> None:
    artifact = sample("openclaw_sessions/sample_session.json")
    artifact["session"]["session_id"] = session_id
    before = {path for path in here.rglob("*") if "state" not in path.parts}
    imported = json.loads(appleseed("openclaw-import", cwd=here, given=json.dumps(artifact).encode()))
    assert {path for path in here.rglob("*") if "state" not in path.parts} == before
    assert json.loads((here / imported["handoff_path"]).read_text())["session_id"] == session_id


def test_given_the_worked_case_when_the_operator_goes_all_the_way_then_each_step_leaves_its_report(
    case: Path,
) -> None:
    skill = case / "skills" / "code_review.json"
    before = skill.read_text()
    evolved = run(case, "evolve")
    assert evolved["report_path"].endswith("latest_evolution_report.json")
    judged = run(case, "governance", "--report", evolved["report_path"])
    assert judged["summary"]["ready_for_promotion"] == 1
    reviewed = run(case, "review", "--write-report")
    assert reviewed["review_queue"] == {
        "ready": ["prompt-code_review"],
        "risky": [],
        "rollback_sensitive": ["prompt-code_review"],
        "operator_review_required": ["workflow-1", "capability-database-migrations"],
        "blocked": [],
    }
    assert run(case, "resume")["stage"] == "reviewed"

    tried = run(case, "promote", "--proposal-id", "prompt-code_review", "--proposal-id", "nope", "--dry-run")
    assert skill.read_text() == before and tried["promoted_files"] == []
    assert tried["skipped_proposals"] == [
        {"proposal_id": "nope", "skip_reason": "the report has no such proposal"}
    ]
    stands = run(case, "resume", "--write-report")
    assert stands["stage"] == "promotion_dry_run" and stands["recoverable"]
    assert stands["selected_proposal_ids"] == ["prompt-code_review"]

    applied = json.loads(shell(stands["resume_commands"]["promote_resume_last"], case))
    assert applied["summary"]["applied_proposals"] == 1
    assert json.loads(skill.read_text())["tags"] == ["review", "quality", "postgres", "rollback", "change"]
    patch = applied["selected_proposals"][0]["diff"]
    assert '+    "rollback",\n' in patch and "\n\\ No newline at end of file\n" in patch
    history = lines(case / "state" / "workflow_history.jsonl")
    assert [line["stage"] for line in history] == ["evolved", "reviewed", "promotion_dry_run", "promoted"]
    assert history[-1] == json.loads((case / "state" / "latest_workflow_state.json").read_text())
    assert len({line["workflow_id"] for line in history}) == 1

    undone = run(case, "rollback", "--proposal-id", "prompt-code_review")
    assert skill.read_text() == before and undone["report_kind"] == "rollback_artifact"
    stands = run(case, "resume")
    assert stands["stage"] == "promoted" and "prompt-code_review was rolled back" in stands["notes"][0]
    assert "is not promoted here" in run(case, "rollback", "--proposal-id", "prompt-code_review", code=1)
    for name in ("operator_review", "promotion_artifact", "workflow_resume", "evolution_report"):
        assert report(case, f"latest_{name}.json")
    assert (case / "state" / "reports" / "latest_operator_review.md").read_text().startswith("# Governance")


def test_given_another_folder_when_the_operator_comes_back_then_everything_is_found_again(
    case: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run(case, "evolve")
    run(case, "promote", "--dry-run")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    stands = json.loads(appleseed("resume", "--config", str(case / "appleseed.toml"), cwd=elsewhere))
    assert stands["recoverable"]
    applied = json.loads(shell(stands["resume_commands"]["promote_resume_last"], elsewhere))
    assert applied["summary"]["applied_proposals"] == 1


def test_given_a_report_edited_by_hand_when_promoted_then_nothing_is(case: Path) -> None:
    path = case / run(case, "evolve")["report_path"]
    skill = case / "skills" / "code_review.json"
    before, found = skill.read_text(), json.loads(path.read_text())
    found["proposals"][0]["changes"]["add_tags"].append("admin")
    path.write_text(json.dumps(found))
    assert "says what the ledgers do not" in run(case, "promote", code=1)
    assert skill.read_text() == before


def test_given_a_skill_file_changed_since_when_promoted_then_it_is_refused_and_said(case: Path) -> None:
    run(case, "evolve")
    skill = case / "skills" / "code_review.json"
    skill.write_text(edited := skill.read_text().replace("Report findings first", "Report findings last"))
    artifact = run(case, "promote")
    assert "changed since the report" in artifact["skipped_proposals"][0]["skip_reason"]
    assert skill.read_text() == edited


def test_given_a_skill_file_changed_after_its_promotion_when_rolled_back_then_it_is_refused(
    case: Path,
) -> None:
    run(case, "evolve")
    run(case, "promote")
    skill = case / "skills" / "code_review.json"
    skill.write_text(edited := skill.read_text() + "\n")
    assert "was changed since" in run(case, "rollback", "--proposal-id", "prompt-code_review", code=1)
    assert skill.read_text() == edited


def test_given_direct_feedback_when_recorded_then_it_is_evidence_as_well(case: Path) -> None:
    for number in range(2):
        words = [
            "--session-id",
            f"d-{number}",
            "--task",
            "draft notes",
            "--status",
            "partial",
            "--score",
            "0.5",
        ]
        words += [
            "--comment",
            "no changelog",
            "--step",
            "read",
            "--step",
            "write",
            "--skill",
            "release_notes",
        ]
        words += ["--missing-capability", "Changelogs", "--metadata", "via=desk=1"]
        recorded = run(case, "feedback", *words)
        assert recorded["steps"] == ["read", "write"] and recorded["metadata"] == {"via": "desk=1"}
    proposals = {p["proposal_id"]: p for p in run(case, "evolve")["proposals"]}
    assert proposals["prompt-release_notes"]["evidence_count"] == 2
    assert proposals["capability-changelogs"]["changes"] == {"recommended_capability": "changelogs"}


def test_given_a_task_when_routed_then_the_start_of_the_session_is_kept(case: Path) -> None:
    words = ("--metadata", "channel=chat", "by=ann", "--metadata", "via=desk")
    answer = run(case, "route", "--task", CASE["expect"]["route"]["task"], *words)
    [event] = lines(case / "state" / "events.jsonl")
    assert event["event_type"] == "session_started"
    assert event["payload"] == {
        "session_id": answer["session_id"],
        "task": answer["task"],
        "metadata": {"channel": "chat", "by": "ann", "via": "desk"},
        "selected_skill_ids": ["code_review", "schema_design"],
    }


def test_given_sessions_when_inspected_and_reported_then_one_can_be_chosen(case: Path) -> None:
    one = run(case, "inspect", "--session-id", "s-1", "--limit", "1")
    assert (one["summary"]["raw_envelopes"], one["summary"]["displayed_raw_envelopes"]) == (2, 1)
    assert "name one with --session-id" in run(case, "report", code=1)
    bundle = run(case, "report", "--session-id", "s-3", "--write-report")
    assert [skill["known"] for skill in bundle["selected_skills"]] == [True, False]
    assert bundle["projected_evolution_signals"][0]["promotion_readiness"] == "blocked"
    page = appleseed(
        *("report", "--config", "appleseed.toml", "--session-id", "s-3", "--format", "markdown"), cwd=case
    )
    assert page.startswith("# Session s-3")


def test_given_the_skills_when_listed_then_one_a_line_wherever_the_configuration_stands(case: Path) -> None:
    before = appleseed("skills", "--config", "appleseed.toml", "list", cwd=case)
    assert before == appleseed("skills", "list", "--config", "appleseed.toml", cwd=case)
    assert before.splitlines()[0] == "code_review\tCode Review\treview,quality"


def test_given_a_configuration_when_made_again_then_only_overwrite_replaces_it(tmp_path: Path) -> None:
    appleseed("init", "new/appleseed.toml", cwd=tmp_path)
    assert "is there already" in appleseed("init", "new/appleseed.toml", cwd=tmp_path, code=1)
    path = tmp_path / "new" / "appleseed.toml"
    path.write_text(path.read_text().replace("min_evidence = 2", "min_evidence = 0"))
    assert "min_evidence" in appleseed("evolve", "--config", str(path), cwd=tmp_path, code=1)
    appleseed("init", "--config", str(path), "--overwrite", cwd=tmp_path)
    assert json.loads(appleseed("evolve", "--config", str(path), cwd=tmp_path))["proposals"] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("dance",), 2, "dance"),
        (("inspect", "--limit", "0"), 2, "limit"),
        (("inspect", "--limit", "many"), 2, "limit"),
        (("route",), 2, "task"),
        (("route", "--task", "t", "--metadata", "novalue"), 2, "key=value"),
        (("promote", "--resume-last", "--proposal-id", "x"), 2, "--resume-last"),
        (("report", "--format", "pdf"), 2, "format"),
        (("ingest", "--file", "nowhere.json"), 1, "nowhere.json"),
        (("ingest", "--file", "skills"), 1, "skills"),
        (("ingest", "--config", "nowhere.toml"), 1, "appleseed init nowhere.toml"),
        (("route", "--task", "  "), 1, "task is required"),
        (("promote",), 1, "appleseed evolve"),
        (("promote", "--resume-last"), 1, "--dry-run"),
        (("review", "--report", "appleseed.toml"), 1, "no evolution report"),
        (("resume",), 1, "appleseed evolve"),
        (("report",), 1, "no session"),
        (("openclaw-import",), 1, "not JSON"),
    ],
)
def test_given_a_mistake_when_run_then_the_exit_code_and_one_line_say_so(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    make_workspace(tmp_path)
    place = () if "--config" in words or code == 2 else ("--config", "appleseed.toml")
    message = appleseed(*words, *place, cwd=tmp_path, code=code)
    assert said in message
    assert code == 2 or len(message.splitlines()) == 1


def test_given_a_score_out_of_range_when_given_then_nothing_is_stored(case: Path) -> None:
    words = ("--session-id", "s", "--task", "t", "--status", "success", "--score", "7")
    assert "score is 7" in run(case, "feedback", *words, code=1).replace("'", "")
    assert not (case / "state" / "events.jsonl").exists()


def test_given_a_skill_file_that_holds_none_when_importing_then_nothing_is_stored(here: Path) -> None:
    (here / "demo" / "skills" / "broken.json").write_text("{")
    payload = json.dumps(sample("openclaw_sessions/sample_session.json")).encode()
    assert "broken.json holds no skill" in appleseed("openclaw-import", cwd=here, given=payload, code=1)
    assert not lines(here / "demo" / "state" / "runtime_event_envelopes.jsonl")
