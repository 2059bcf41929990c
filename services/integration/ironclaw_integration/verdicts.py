"""What a command's outcome says about the tree it ran on: passed, failed, or could not run. Pure.

A gate fails open when "nothing ran" reads as "nothing failed". So a verdict needs evidence that the work was
really judged: the command itself began, its output is whole, and tests say how many they were.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from ironclaw_integration.definition import CommandGate
from ironclaw_sandbox import Ended, Outcome

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could_not_run"
_NOT_FOUND = {126: "not executable", 127: "command not found"}
_LIMITS = frozenset(
    {
        *(Ended.TIMEOUT, Ended.CPU_LIMIT, Ended.MEMORY_LIMIT, Ended.PROCESS_LIMIT),
        *(Ended.FILE_LIMIT, Ended.DISK_LIMIT),
    }
)
_TAIL_LINES = 3
_TAIL_CHARS = 600

# Each matches one summary of a runner; every group is a number of tests that really ran.
_PYTEST = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)
_PYTEST_COUNT = re.compile(r"(\d+) (?:passed|failed|errors?|xfailed|xpassed)\b")
_OTHERS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^Ran (\d+) tests? in ",  # unittest
        r"^test result: \w+\. (\d+) passed; (\d+) failed;",  # cargo
        r"^Tests:\s+(?:(\d+) failed, )?(?:\d+ skipped, )?(?:\d+ todo, )?(?:(\d+) passed, )?\d+ total",  # jest
        r"^\s*Tests\s+(?:(\d+) failed \| )?(\d+) passed",  # vitest
        r"^# pass (\d+)$",  # node --test
        r"^# fail (\d+)$",
        r"^\s*(\d+) passing\b",  # mocha
        r"^\s*(\d+) failing\b",
        r"^Tests run: (\d+), Failures: ",  # JUnit, at the end of a module
    )
)
_GO = re.compile(r"^--- (?:PASS|FAIL): ", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Judgement(Struct, frozen=True):
    """A verdict with one sentence for people; `tests` is how many ran, where that is known.

    `lasting` when the same tree would be judged the same again: a limit may be hit on a busy machine only.
    """

    verdict: str
    detail: str
    tests: int | None = None
    lasting: bool = True


def judge_outcome(gate: CommandGate, outcome: Outcome) -> Judgement:
    """Return what one run of a gate's command says."""
    if outcome.ended is Ended.COULD_NOT_RUN:
        return Judgement(COULD_NOT_RUN, outcome.reason)
    if outcome.ended is Ended.OUTPUT_LIMIT:
        return Judgement(COULD_NOT_RUN, f"its output was cut, so nobody can tell: {outcome.reason}")
    if outcome.exit_code in _NOT_FOUND:
        detail = f"exit code {outcome.exit_code}: {_NOT_FOUND[outcome.exit_code]}{_tail(outcome)}"
        return Judgement(COULD_NOT_RUN, detail)
    text = _text(outcome.stdout, outcome.stderr)
    tests = count_tests(text, gate.counted) if gate.kind == "tests" else None
    if outcome.ended in _LIMITS or outcome.ended is Ended.SIGNAL:
        return Judgement(FAILED, f"{outcome.ended}: {outcome.reason}{_tail(outcome)}", tests, lasting=False)
    if gate.kind == "tests" and (tests or 0) < gate.tests_min:
        said = "nothing shows that any test ran" if tests is None else f"{tests} tests ran"
        detail = f"{said}, at least {gate.tests_min} must; {outcome.reason}{_tail(outcome)}"
        return Judgement(COULD_NOT_RUN, detail, tests)
    ran = "" if tests is None else f", {tests} tests ran"
    if outcome.exit_code != 0:
        return Judgement(FAILED, f"{outcome.reason}{ran}{_tail(outcome)}", tests)
    return Judgement(PASSED, f"{outcome.reason}{ran}", tests)


def count_tests(text: str, pattern: str | None) -> int | None:
    """Return how many tests a runner's output says it ran; None when there is no sign of any runner.

    Skipped and deselected tests did not run. The last summary counts where there is one for all; runners
    that print one for each part are added up.
    """
    if pattern is not None:
        return _sum(re.finditer(pattern, text, re.MULTILINE))
    summaries = _PYTEST.findall(text)
    if summaries:
        return sum(int(number) for number in _PYTEST_COUNT.findall(summaries[-1]))
    if "no tests ran" in text:
        return 0
    counts = [count for one in _OTHERS if (count := _sum(one.finditer(text))) is not None]
    if counts:
        return sum(counts)
    return len(_GO.findall(text)) or None


def _sum(matches: Iterator[re.Match[str]]) -> int | None:
    found = [sum(int(number) for number in match.groups() if number) for match in matches]
    return sum(found) if found else None


def whole_output(outcome: Outcome) -> bytes:
    """Return both streams as one text, to be kept."""
    if not outcome.stderr:
        return outcome.stdout
    return outcome.stdout + (b"\n" if outcome.stdout else b"") + b"--- stderr ---\n" + outcome.stderr


def _text(*streams: bytes) -> str:
    return _COLOURS.sub("", b"\n".join(streams).decode("utf-8", "replace")).replace("\x00", "")


def _tail(outcome: Outcome) -> str:
    """Return the last lines of what the command said; warnings on stderr come second."""
    lines = _lines(outcome.stdout) or _lines(outcome.stderr)
    return f": {' / '.join(lines[-_TAIL_LINES:])[-_TAIL_CHARS:]}" if lines else ""


def _lines(stream: bytes) -> list[str]:
    return [line.strip() for line in _text(stream).splitlines() if line.strip()]
