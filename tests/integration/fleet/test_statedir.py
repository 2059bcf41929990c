"""The state directory: its modes, its lock, its record, its secrets."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_fleet.secretfile import kept_secret, write_private
from ironclaw_fleet.statedir import FleetRecord, FleetRuns, StateDirectory
from tests.integration.fleet.conftest import modes_above

RECORD = FleetRecord(pid=1, port_base=8080, gateway_url="http://127.0.0.1:8080")
HOLD = """
import sys, time
from pathlib import Path
from ironclaw_fleet.statedir import StateDirectory
with StateDirectory(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""
LOOK = """
import sys
from pathlib import Path
from ironclaw_fleet.statedir import StateDirectory
state = StateDirectory(Path(sys.argv[1]))
print("looking", flush=True)
while True:
    state.holder()
"""


def python(script: str, state: StateDirectory) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(state.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_given_no_directory_when_created_then_it_is_private_and_its_parents_keep_their_modes(
    tmp_path: Path,
) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o750)
    state = StateDirectory(parent / "state")
    before = modes_above(state.path)
    state.create()
    state.create()
    assert modes_above(state.path) == before
    # As root others may pass through, not look: PostgreSQL runs as another user below.
    assert mode(state.path) == (0o711 if os.geteuid() == 0 else 0o700)
    assert {mode(folder) for folder in (state.keys, state.logs, state.run, state.vault, state.valkey)} == {
        0o700
    }


def test_given_a_holder_when_another_wants_the_directory_then_it_is_refused_with_the_holders_pid(
    tmp_path: Path,
) -> None:
    state = StateDirectory(tmp_path / "state")
    state.create()
    holder = python(HOLD, state)
    try:
        with pytest.raises(FleetRuns, match=rf"pid {holder.pid}.*ironclaw down"), state.held():
            pass
        assert state.holder() == holder.pid
    finally:
        end(holder)
    assert state.holder() is None
    with state.held():  # a killed holder leaves nothing that stands in the way
        assert state.holder() == os.getpid()


def test_given_commands_that_look_for_the_holder_when_the_directory_is_taken_then_they_do_not_get_in_the_way(
    tmp_path: Path,
) -> None:
    state = StateDirectory(tmp_path / "state")
    state.create()
    with state.held():
        pass
    looking = python(LOOK, state)
    try:
        for _ in range(200):
            with state.held():
                pass
    finally:
        end(looking)


def test_given_a_record_when_nobody_holds_the_directory_then_it_is_not_believed(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    state.create()
    holder = python(HOLD, state)
    try:
        state.write_fleet(RECORD)
        assert state.read_fleet() == RECORD
        assert mode(state.run / "fleet.json") == 0o600
    finally:
        end(holder)
    assert (state.run / "fleet.json").exists()
    assert state.read_fleet() is None
    with state.held():  # the next fleet is not ready yet, and the killed one's record is not about it
        assert state.read_fleet() is None


def test_given_a_secret_when_asked_again_then_it_is_the_same_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.password"
    made = kept_secret(path)
    assert len(made) >= 32
    assert kept_secret(path) == made
    assert mode(path) == 0o600
    assert kept_secret(tmp_path / "y.password") != made


def test_given_a_secret_file_left_empty_by_a_crash_when_asked_then_a_secret_is_made(tmp_path: Path) -> None:
    path = tmp_path / "x.password"
    path.touch()
    made = kept_secret(path)
    assert made
    assert path.read_text() == made


def test_given_a_private_file_when_replaced_then_only_the_new_content_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old and longer")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
