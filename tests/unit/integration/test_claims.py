"""Claims of a report against what really happened; each kind of mismatch by itself."""

from datetime import UTC, datetime

import pytest

from ironclaw_contracts.artifacts import Claims
from ironclaw_contracts.transcript import Run, ToolCall, encode_transcript
from ironclaw_integration.claims import BLOCKING, mismatches, rerun_mismatch
from ironclaw_integration.definition import parse_gates
from ironclaw_integration.gates import report_result

PYTEST = ["python", "-m", "pytest", "-q"]


def transcript(*runs: Run) -> bytes:
    return encode_transcript(
        ToolCall(number=n, tool="run", at=datetime(2026, 1, 1, tzinfo=UTC), outcome="done", run=run)
        for n, run in enumerate(runs, start=1)
    )


def ran(argv: list[str], code: int = 0, text: str = "", ended: str = "exited") -> Run:
    return Run(argv=argv, ended=ended, tier="landlock", exit_code=code, stdout=text)


GREEN = ran(PYTEST, 0, "3 passed in 0.1s")
RED = ran(PYTEST, 1, "1 failed, 2 passed in 0.1s")


@pytest.mark.parametrize(
    ("claims", "record", "kinds"),
    [
        (None, None, []),
        (Claims(), None, []),
        (Claims(files_changed=["a.py", "b.py"]), None, []),
        (Claims(files_changed=["a.py", "b.py", "c.py"]), None, ["file_not_changed"]),
        (Claims(files_changed=["a.py"]), None, ["file_not_told"]),
        (Claims(commands=[PYTEST]), transcript(GREEN), []),
        (Claims(commands=[PYTEST]), transcript(RED), []),
        (Claims(commands=[["python -m pytest", "-q"]]), transcript(GREEN), []),
        (Claims(commands=[["make", "test"]]), transcript(GREEN), ["command_not_run"]),
        (Claims(commands=[PYTEST]), transcript(ran(PYTEST, ended="timeout")), ["command_not_run"]),
        (Claims(commands=[PYTEST]), None, ["transcript_missing"]),
        (Claims(tests_passed=True), transcript(RED, GREEN), []),
        (Claims(tests_passed=True), transcript(GREEN, RED), ["tests_failed"]),
        (Claims(tests_passed=True), transcript(ran(PYTEST, 0, "3 skipped in 0.1s")), ["tests_not_run"]),
        (Claims(tests_passed=True), transcript(), ["tests_not_run"]),
        (Claims(tests_passed=False), None, []),
        (Claims(tests_passed=True), b"{not json}\n", ["transcript_broken"]),
    ],
)
def test_given_claims_when_compared_with_what_happened_then_each_lie_has_its_kind(
    claims: Claims | None, record: bytes | None, kinds: list[str]
) -> None:
    changed = ["a.py", "b.py", "aar.json", "transcript.jsonl"]
    assert [one.kind for one in mismatches(claims, record, changed)] == kinds


def test_given_passed_tests_claimed_when_they_fail_as_merged_then_that_is_a_mismatch_too() -> None:
    found = rerun_mismatch(Claims(tests_passed=True), ["tests"])
    assert [one.kind for one in found] == ["tests_fail_merged"]
    assert not rerun_mismatch(Claims(tests_passed=None), ["tests"]) and not rerun_mismatch(None, ["tests"])


def test_given_a_mismatch_when_the_policy_does_not_name_its_kind_then_it_is_noted_and_passes() -> None:
    found = mismatches(Claims(files_changed=["a.py"]), None, ["a.py", "b.py"])
    noted = report_result(found, parse_gates(None))
    assert (noted.verdict, noted.mismatches) == ("passed", ["file_not_told"]) and "b.py" in noted.detail
    strict = parse_gates(b"[reports]\nblock = ['file_not_told']\n")
    assert report_result(found, strict).verdict == "failed"
    assert "file_not_told" not in BLOCKING
