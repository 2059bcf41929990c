"""`ironclaw doctor` finds what is amiss with a machine, and says how to mend it."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ironclaw_fleet.checkup import check_disk, check_git, check_keys, check_model, check_ports, git_version
from ironclaw_fleet.statedir import StateDirectory
from tests.support.model_server import ModelServer


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "home")


async def test_given_no_git_when_checked_then_it_is_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await check_git()).works
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await check_git()
    assert not found.works and "apt-get install git" in found.mend
    assert git_version("git version 2.9.5.windows.1") == (2, 9, 5, 1) < (2, 38)


def test_given_a_port_that_is_taken_when_checked_then_it_is_named(state: StateDirectory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = check_ports(state, port)
        assert not found.works and str(port) in found.detail and "--port-base" in found.mend


def test_given_a_state_directory_that_is_not_there_yet_when_checked_then_its_disk_is_looked_at(
    state: StateDirectory,
) -> None:
    assert str(state.path) in check_disk(state.path).detail
    assert check_keys(state).works


def test_given_a_key_that_others_can_read_when_checked_then_it_is_named(state: StateDirectory) -> None:
    state.create()
    state.operator_key.write_text("ick_x_y\n", encoding="utf-8")
    state.operator_key.chmod(0o644)
    assert check_keys(state).works, "the folder keeps others out"
    state.keys.chmod(0o755)
    found = check_keys(state)
    assert not found.works and state.operator_key.name in found.detail and "chmod" in found.mend
    os.chmod(state.operator_key, 0o600)
    assert check_keys(state).works


def _any(_: dict[str, Any]) -> tuple[int, str]:
    return 200, "unused"


async def test_given_a_provider_when_checked_then_what_is_amiss_is_told_apart() -> None:
    assert "offline provider" in (await check_model({})).detail
    key = {"IOINTELLIGENCE_API_KEY": "k"}
    away = await check_model({**key, "IRONCLAW_MODEL_BASE_URL": "http://127.0.0.1:9"})
    assert not away.works and "IRONCLAW_MODEL_BASE_URL" in away.mend
    wrong = await check_model({**key, "IRONCLAW_MODEL_BASE_URL": "no url"})
    assert not wrong.works
    with ModelServer(_any) as model:
        there = await check_model({**key, "IRONCLAW_MODEL_BASE_URL": model.url})
        model.models_status = 401
        refused = await check_model({**key, "IRONCLAW_MODEL_BASE_URL": model.url})
        model.models_status = 503
        down = await check_model({**key, "IRONCLAW_MODEL_BASE_URL": model.url})
    assert not refused.works and "IOINTELLIGENCE_API_KEY" in refused.mend
    assert not down.works and "503" in down.detail
    assert there.works and model.url in there.detail
