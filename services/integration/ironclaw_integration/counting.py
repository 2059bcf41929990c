"""How many tests a runner says it ran, from its summary. Pure."""

import re
from collections.abc import Iterator

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
