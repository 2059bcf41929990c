"""No unwired verb or flag: whatever the `appleseed` command takes, a test with real parts gives it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appleseed_evolution.cli import build_app

TESTED = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (Path(__file__).resolve().parents[1] / "integration" / "appleseed").glob("*.py")
)
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "appleseed.md").read_text(encoding="utf-8")


def verbs() -> list[str]:
    return [name for name in build_app() if not name.startswith("-")]


def flags() -> Iterator[str]:
    app = build_app()
    for verb in verbs():
        for argument in app[verb].assemble_argument_collection():
            yield from (name for name in argument.names if name.startswith("--"))


@pytest.mark.parametrize("verb", verbs())
def test_given_a_verb_when_sought_then_a_test_runs_it_and_the_page_shows_it(verb: str) -> None:
    assert f'"{verb}"' in TESTED or f"appleseed {verb} " in TESTED, verb
    assert f"appleseed {verb}" in PAGE or f"`{verb}`" in PAGE, verb


@pytest.mark.parametrize("flag", sorted(set(flags())))
def test_given_a_flag_when_sought_then_a_test_gives_it(flag: str) -> None:
    assert f'"{flag}"' in TESTED or f" {flag} " in TESTED, flag


def test_given_the_command_when_asked_then_it_has_the_contracts_verbs() -> None:
    assert set(verbs()) == {
        *("init", "skills", "route", "feedback", "ingest", "openclaw-import", "report", "inspect"),
        *("evolve", "governance", "review", "promote", "rollback", "resume", "serve"),
    }
