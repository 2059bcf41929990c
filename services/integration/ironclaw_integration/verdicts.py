"""What a command's outcome says about the tree it ran on: passed, failed, or could not run. Pure.

A gate fails open when "nothing ran" reads as "nothing failed". So a verdict needs evidence that the work was
really judged: the command itself began, its output is whole, and tests say how many they were.
"""

import re

from msgspec import Struct

from ironclaw_integration.counting import count_tests
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

_DURATION = re.compile(r" in \d[\d.]*s(?: \([\d:]+\))?")
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
    # Without durations: the same failure again shall read the same, or it would be told again and again.
    return [line.strip() for line in _DURATION.sub("", _text(stream)).splitlines() if line.strip()]
