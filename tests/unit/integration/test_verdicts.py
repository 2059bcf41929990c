"""What a command's end and output say about a tree."""

import pytest

from ironclaw_integration.counting import count_tests
from ironclaw_integration.definition import CommandGate, Plant
from ironclaw_integration.verdicts import judge_outcome
from ironclaw_sandbox import Ended, Outcome, Tier

PLANT = Plant(path="a.py", content="")
TESTS = CommandGate(name="tests", kind="tests", run=["pytest"], planted=PLANT)
LINT = CommandGate(name="lint", run=["ruff", "check"], planted=PLANT)


def exited(code: int, text: str = "", **more: object) -> Outcome:
    return Outcome(
        ended=Ended.EXITED,
        reason=f"exit code {code}",
        tier=Tier.OFF,
        exit_code=code,
        stdout=text.encode(),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12 passed in 0.03s", 12),
        ("===== 1 failed, 2 passed, 3 skipped, 1 warning in 65.02s (0:01:05) =====", 3),
        ("1 error in 0.10s", 1),
        ("3 skipped in 0.01s", 0),
        ("5 deselected in 0.01s", 0),
        ("no tests ran in 0.00s", 0),
        ("\x1b[32m2 passed\x1b[0m in 0.1s".replace("\x1b[32m", "").replace("\x1b[0m", ""), 2),
        ("1 passed in 0.1s\n\n4 passed, 1 xfailed in 0.2s", 5),
        ("Ran 7 tests in 0.001s\n\nOK", 7),
        ("Ran 0 tests in 0.000s", 0),
        ("test result: ok. 3 passed; 0 failed; 0 ignored;\ntest result: ok. 2 passed; 1 failed; 0", 6),
        ("Tests:       1 failed, 2 skipped, 5 passed, 8 total", 6),
        ("Tests:       2 skipped, 2 total", 0),
        ("# pass 4\n# fail 1", 5),
        ("--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL", 2),
        ("all good, trust me", None),
        ("", None),
    ],
)
def test_given_a_runners_output_when_tests_are_counted_then_only_those_that_ran_are(
    text: str, count: int | None
) -> None:
    assert count_tests(text, None) == count


def test_given_a_pattern_of_ones_own_when_tests_are_counted_then_its_groups_are_added() -> None:
    pattern = r"^(\d+) examples, (\d+) pending"
    assert count_tests("3 examples, 1 pending\n2 examples, 0 pending", pattern) == 6
    assert count_tests("12 passed in 0.1s", pattern) is None


@pytest.mark.parametrize(
    ("gate", "outcome", "verdict"),
    [
        (TESTS, exited(0, "3 passed in 0.1s"), "passed"),
        (TESTS, exited(1, "1 failed, 2 passed in 0.1s"), "failed"),
        (TESTS, exited(2, "1 error in 0.1s"), "failed"),
        (TESTS, exited(0, ""), "could_not_run"),
        (TESTS, exited(0, "3 skipped in 0.1s"), "could_not_run"),
        (TESTS, exited(5, "no tests ran in 0.1s"), "could_not_run"),
        (TESTS, exited(1, "No module named pytest"), "could_not_run"),
        (TESTS, exited(127, "3 passed in 0.1s"), "could_not_run"),
        (TESTS, exited(126), "could_not_run"),
        (LINT, exited(0), "passed"),
        (LINT, exited(1), "failed"),
        (LINT, exited(127), "could_not_run"),
        (LINT, Outcome(ended=Ended.COULD_NOT_RUN, reason="not installed", tier=Tier.OFF), "could_not_run"),
        (LINT, Outcome(ended=Ended.OUTPUT_LIMIT, reason="too much", tier=Tier.OFF), "could_not_run"),
        (LINT, Outcome(ended=Ended.TIMEOUT, reason="not over after 1 s", tier=Tier.OFF), "failed"),
        (LINT, Outcome(ended=Ended.SIGNAL, reason="signal 11", tier=Tier.OFF, signal=11), "failed"),
    ],
)
def test_given_an_outcome_when_judged_then_only_what_really_ran_passes(
    gate: CommandGate, outcome: Outcome, verdict: str
) -> None:
    assert judge_outcome(gate, outcome).verdict == verdict


def test_given_a_limit_when_it_ends_a_command_then_the_verdict_is_not_one_to_keep() -> None:
    outcome = Outcome(ended=Ended.MEMORY_LIMIT, reason="more than 1 bytes of memory", tier=Tier.OFF)
    assert not judge_outcome(LINT, outcome).lasting
    assert judge_outcome(LINT, exited(1)).lasting


def test_given_fewer_tests_than_asked_for_when_judged_then_it_could_not_run() -> None:
    gate = CommandGate(name="tests", kind="tests", run=["pytest"], planted=PLANT, tests_min=10)
    assert judge_outcome(gate, exited(0, "9 passed in 0.1s")).verdict == "could_not_run"
    assert judge_outcome(gate, exited(0, "10 passed in 0.1s")).verdict == "passed"


def test_given_the_same_failure_again_when_judged_then_it_reads_the_same() -> None:
    slow = judge_outcome(TESTS, exited(1, "E  assert 1 == 2\n1 failed, 2 passed in 65.02s (0:01:05)"))
    fast = judge_outcome(TESTS, exited(1, "E  assert 1 == 2\n1 failed, 2 passed in 0.1s"))
    assert slow == fast and "assert 1 == 2 / 1 failed, 2 passed" in fast.detail
