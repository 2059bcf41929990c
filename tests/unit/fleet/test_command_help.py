"""The `ironclaw` command tells what it takes, and what to do next."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from ironclaw_contracts.errors import NotFound, Unauthenticated, Unavailable
from ironclaw_fleet.cli import build_app
from ironclaw_fleet.cli.machine import welcome
from ironclaw_fleet.cli.session import told


def verbs(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    if path and app.default_command is not None:
        yield path, app
    for name in app:
        if not name.startswith("-"):
            yield from verbs(app[name], (*path, name))


def test_given_every_verb_when_its_help_is_asked_for_then_each_argument_is_explained() -> None:
    silent = [
        " ".join((*path, argument.name))
        for path, app in verbs(build_app())
        for argument in app.assemble_argument_collection(parse_docstring=True)
        if argument.name != "*" and not argument.parameter.help
    ]
    assert silent == []


def test_given_every_verb_when_listed_then_a_line_says_what_it_does() -> None:
    assert [" ".join(path) for path, app in verbs(build_app()) if not app.help] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_given_a_shell_when_completion_is_made_for_it_then_it_knows_the_verbs(shell: str) -> None:
    made = build_app().generate_completion(shell=shell)  # type: ignore[arg-type]
    for verb in ("chat", "escalations", "rollback"):
        assert verb in made


def test_given_an_error_of_the_gateway_when_told_then_it_names_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IRONCLAW_URL", raising=False)
    assert told(NotFound("there is no run 'x'")) == "there is no run 'x'; see: ironclaw runs"
    assert told(NotFound("there is no playbook")) == "there is no playbook"
    assert "ironclaw keys create" in told(Unauthenticated("the key is not known"))
    assert "ironclaw status" in told(Unavailable("co is away"))
    monkeypatch.setenv("IRONCLAW_URL", "http://fleet:8080")
    assert "IRONCLAW_URL=http://fleet:8080" in told(Unavailable("api_gateway cannot be reached for runs"))


def test_given_a_fleet_that_is_ready_when_it_says_so_then_each_line_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / ".venv" / "bin" / "ironclaw-here"
    program.parent.mkdir(parents=True)
    program.touch()
    said = "\n".join(welcome("http://127.0.0.1:8080", tmp_path / "a b" / "key", str(program)))
    assert "http://127.0.0.1:8080/" in said
    assert "cat 'a b/key'" in said
    assert ".venv/bin/ironclaw-here chat '" in said
