"""Killed at any byte, and two at once: nothing is lost, nothing is there twice, nothing is half there."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from appleseed_evolution.evolution.evolving import evolve, resume
from appleseed_evolution.evolution.promoting import promote, rollback
from appleseed_evolution.intake import ingest
from appleseed_evolution.openclaw.importing import openclaw_import
from appleseed_evolution.state.skillchanges import applied_change
from appleseed_evolution.workspace import Workspace
from tests.support.appleseed import CASE, NOW, appleseed, envelope, lines, make_workspace, sample
from tests.support.crashing import kill_after, points, writes_of

NAME = "{:08d}"
"""Folder names of one length, so that what is written has one length too."""
MORE = 2000 if os.environ.get("IRONCLAW_TRUST_FULL") else 0


def opened(folder: Path) -> Workspace:
    return Workspace.open(folder / "appleseed.toml")


def take_in(workspace: Workspace, payload: object) -> dict[str, Any]:
    raw = json.dumps(payload).encode()
    return ingest(workspace, raw, now=NOW, new_id=lambda: str(uuid4()))


def check_evidence(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Check that the ledgers fit together, and return the envelope ids and those projected."""
    state = folder / "state"
    stored = lines(state / "runtime_event_envelopes.jsonl")
    projected = Counter(r["source_envelope_id"] for r in lines(state / "projected_feedback.jsonl"))
    feedback = Counter(e["envelope_id"] for e in stored if e["event"]["event_kind"] == "session_feedback")
    assert projected == feedback
    ids = Counter(envelope["envelope_id"] for envelope in stored)
    assert not ids or max(ids.values()) == 1
    for receipt in lines(state / "intake_journal.jsonl"):
        assert (state / "received_payloads" / f"{receipt['payload_sha256']}.json").exists()
    return ids, projected


def check_reports(folder: Path) -> None:
    for path in (folder / "state" / "reports").glob("*.json"):
        json.loads(path.read_text())


@pytest.mark.trust
@pytest.mark.timeout(1800)
def test_given_an_import_killed_at_any_step_when_done_again_then_all_is_there_once(tmp_path: Path) -> None:
    artifact = json.dumps(sample("openclaw_sessions/sample_session.json")).encode()
    earlier = [envelope("s-0"), envelope("s-1")]

    (template := tmp_path / "template").mkdir()
    take_in(make_workspace(template), earlier)

    def act(folder: Path) -> None:
        openclaw_import(opened(folder), artifact, now=NOW)

    counted = shutil.copytree(template, tmp_path / NAME.format(0))
    marks = writes_of(lambda: act(counted))
    assert marks[-1] > 10_000
    for number, step in enumerate(points(marks, more=MORE), start=1):
        folder = shutil.copytree(template, tmp_path / NAME.format(number))
        assert kill_after(step, lambda folder=folder: act(folder))
        opened(folder)
        ids, _ = check_evidence(folder)
        assert len(ids) in {2, 4}, f"step {step}: half a payload is stored"
        check_reports(folder)
        act(folder)
        ids, projected = check_evidence(folder)
        assert len(ids) == 4 and len(projected) == 3, f"step {step}"
        check_reports(folder)
        assert not list((folder / "state").rglob("*.making"))


@pytest.mark.trust
@pytest.mark.timeout(1800)
def test_given_a_promotion_killed_at_any_step_when_opened_again_then_skill_and_ledger_agree(
    tmp_path: Path,
) -> None:
    def prepared(number: int) -> Path:
        (folder := tmp_path / NAME.format(number)).mkdir()
        workspace = make_workspace(folder)
        take_in(workspace, CASE["batch"])
        evolve(workspace, now=NOW)
        return folder

    def act(folder: Path) -> None:
        promote(opened(folder), None, [], dry_run=False, now=NOW)

    counted = prepared(0)
    skill = counted / "skills" / "code_review.json"
    before = skill.read_bytes()
    marks = writes_of(lambda: act(counted))
    after = skill.read_bytes()
    assert before != after
    for number, step in enumerate(points(marks, more=MORE), start=1):
        folder = prepared(number)
        assert kill_after(step, lambda folder=folder: act(folder))
        workspace = opened(folder)
        found = (folder / "skills" / "code_review.json").read_bytes()
        is_applied = applied_change(workspace.state, "prompt-code_review") is not None
        assert found == (after if is_applied else before), f"step {step}"
        assert resume(workspace)["recoverable"]
        if not is_applied:
            act(folder)
        rollback(opened(folder), "prompt-code_review", now=NOW)
        assert (folder / "skills" / "code_review.json").read_bytes() == before


@pytest.mark.trust
def test_given_two_importers_of_the_same_and_of_their_own_when_both_run_then_all_is_there_once(
    tmp_path: Path,
) -> None:
    make_workspace(tmp_path)
    shared = [envelope(f"shared-{number}") for number in range(20)]
    script = (
        "import json, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from uuid import uuid4\n"
        "from appleseed_evolution.intake import ingest\n"
        "from appleseed_evolution.workspace import Workspace\n"
        "workspace = Workspace.open(Path(sys.argv[1]))\n"
        "skipped = 0\n"
        "for line in sys.stdin:\n"
        "    answer = ingest(workspace, line.encode(), now=datetime.now(UTC), new_id=lambda: str(uuid4()))\n"
        "    skipped += answer['skipped']\n"
        "print(skipped)\n"
    )
    mine = [[envelope(f"importer-{who}-{n}") for n in range(20)] for who in range(2)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "appleseed.toml")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in mine
    ]
    for process, own in zip(running, mine, strict=True):
        assert process.stdin is not None
        process.stdin.write("".join(json.dumps([a, b]) + "\n" for a, b in zip(shared, own, strict=True)))
        process.stdin.close()
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    skipped = sum(int(process.stdout.read()) for process in running if process.stdout is not None)
    ids, _ = check_evidence(tmp_path)
    assert ids.keys() == {e["envelope_id"] for e in [*shared, *mine[0], *mine[1]]}
    assert skipped == len(shared)


@pytest.mark.parametrize(
    "name", ["runtime_event_envelopes.jsonl", "projected_feedback.jsonl", "events.jsonl"]
)
def test_given_a_torn_last_line_when_the_next_command_runs_then_it_is_told_and_set_aside(
    name: str, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path)
    take_in(workspace, [envelope("s-0"), envelope("s-1")])
    appleseed(
        *("feedback", "--config", "appleseed.toml", "--session-id", "s", "--task", "t"),
        *("--status", "success", "--score", "1"),
        cwd=tmp_path,
    )
    ledger = tmp_path / "state" / name
    whole = ledger.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    ledger.write_bytes(whole + last[: len(last) // 2])
    audit = json.loads(appleseed("inspect", "--config", "appleseed.toml", cwd=tmp_path))
    assert audit["summary"]["raw_envelopes"] == 2
    assert ledger.read_bytes() == whole
    [aside] = (tmp_path / "state" / "set_aside").iterdir()
    assert aside.read_bytes() == last[: len(last) // 2]


def test_given_a_damaged_line_inside_when_read_then_it_is_passed_over_and_the_evidence_is_restored(
    tmp_path: Path,
) -> None:
    take_in(make_workspace(tmp_path), [envelope("s-0"), envelope("s-1")])
    ledger = tmp_path / "state" / "runtime_event_envelopes.jsonl"
    first, second = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"#" + first[1:] + second)
    workspace = opened(tmp_path)
    assert any("completed from the journal" in notice for notice in workspace.state.notices)
    stored = [line for line in ledger.read_bytes().splitlines() if line[:1] == b"{"]
    assert sorted(json.loads(line)["event"]["session_id"] for line in stored) == ["s-0", "s-1"]


def test_given_a_full_disk_when_taking_in_then_the_next_writer_completes_or_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    for failing in range(4):
        folder = tmp_path / str(failing)
        folder.mkdir()
        workspace = make_workspace(folder)
        calls = 0

        def write(descriptor: int, content: bytes, failing: int = failing) -> int:
            nonlocal calls
            calls += 1
            if calls > failing:
                raise OSError(28, "No space left on device")
            return real(descriptor, content)

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(os, "write", write)
            take_in(workspace, [envelope("s-0"), envelope("s-1")])
        take_in(workspace, [envelope("s-2")])
        ids, _ = check_evidence(folder)
        assert len(ids) in {1, 3}


def test_given_the_clock_when_stored_then_instants_are_utc_with_an_offset(tmp_path: Path) -> None:
    answer = take_in(make_workspace(tmp_path), {"source": "x", **envelope("s")["event"]})
    assert datetime.fromisoformat(answer["events"][0]["recorded_at"]).utcoffset() == UTC.utcoffset(None)
