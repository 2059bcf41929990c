"""Is what a report claims so? Its claims against the transcript that the unit's process kept, and the commit.

Pure. A report is words of a model or of a tool; the transcript and the commit are what happened. The tests
are run again on the merged tree besides: `rerun_mismatch`.
"""

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from ironclaw_contracts.artifacts import OPERATIONAL_FILES, TRANSCRIPT_FILE, Claims
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.transcript import Run, decode_transcript
from ironclaw_integration.counting import count_tests

MismatchKind = Literal[
    "command_not_run",
    "file_not_changed",
    "file_not_told",
    "tests_not_run",
    "tests_failed",
    "tests_fail_merged",
    "transcript_missing",
    "transcript_broken",
]
BLOCKING: tuple[MismatchKind, ...] = (
    *("command_not_run", "file_not_changed", "tests_not_run", "tests_failed"),
    *("transcript_missing", "transcript_broken"),
)
"""What blocks a merge unless gates.toml says otherwise. A file that was changed and not told is in the diff
for everybody to see; and tests that fail on the merged tree refuse the work by themselves."""


class Mismatch(Struct, frozen=True):
    """One claim that was not so; `detail` is a sentence for people."""

    kind: MismatchKind
    detail: str


def mismatches(claims: Claims | None, transcript: bytes | None, changed: Collection[str]) -> list[Mismatch]:
    """Return every claim that was not so. `changed` are the paths that the order's own commits change."""
    if claims is None:
        return []
    files = _files(claims, {path for path in changed if path not in OPERATIONAL_FILES})
    if not claims.commands and not claims.tests_passed:
        return files
    if transcript is None:
        detail = f"it claims commands or tests, and its commit has no {TRANSCRIPT_FILE}"
        return [*files, Mismatch("transcript_missing", detail)]
    try:
        calls = decode_transcript(transcript)
    except BadRequest as error:
        return [*files, Mismatch("transcript_broken", error.message)]
    runs = [call.run for call in calls if call.run is not None]
    return [*files, *_commands(claims, runs), *_tests(claims, runs)]


def rerun_mismatch(claims: Claims | None, failed_tests: Collection[str]) -> list[Mismatch]:
    """Return the mismatch of a report that claims passed tests, where these test gates failed as merged."""
    if claims is None or not claims.tests_passed or not failed_tests:
        return []
    detail = f"it claims that tests passed; on the merged tree {', '.join(sorted(failed_tests))} failed"
    return [Mismatch("tests_fail_merged", detail)]


def _files(claims: Claims, changed: set[str]) -> list[Mismatch]:
    told = set(claims.files_changed)
    if not told:
        return []
    return [
        *(Mismatch("file_not_changed", f"{path} was not changed") for path in sorted(told - changed)),
        *(Mismatch("file_not_told", f"{path} was changed, and not told") for path in sorted(changed - told)),
    ]


def _commands(claims: Claims, runs: list[Run]) -> list[Mismatch]:
    # Compared as lines: whether a word was quoted or split says nothing about what ran.
    ran = {" ".join(run.argv) for run in runs if run.ended == "exited"}
    lines = (" ".join(command) for command in claims.commands)
    return [
        Mismatch("command_not_run", f"the transcript has no finished run of {line[:200]!r}")
        for line in lines
        if line not in ran
    ]


def _tests(claims: Claims, runs: list[Run]) -> list[Mismatch]:
    if not claims.tests_passed:
        return []
    tested = [run for run in runs if count_tests(f"{run.stdout}\n{run.stderr}", None)]
    if not tested:
        return [Mismatch("tests_not_run", "it claims passed tests, and the transcript has no run of any")]
    if tested[-1].exit_code != 0:
        line = " ".join(tested[-1].argv)[:200]
        return [Mismatch("tests_failed", f"it claims passed tests, and the last run, {line!r}, failed")]
    return []
