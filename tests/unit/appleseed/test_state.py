"""The state directory: the lock, files that are whole or not there, and names that stay inside."""

import os
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given

from appleseed_evolution.naming import file_name_part
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.files import write_atomically
from appleseed_evolution.state.ledger import Ledger
from ironclaw_contracts.errors import Unavailable
from tests.support.appleseed import texts


def test_given_another_process_that_holds_the_lock_when_entered_then_it_is_unavailable(
    tmp_path: Path,
) -> None:
    held, over = os.pipe(), os.pipe()
    child = get_context("fork").Process(target=_hold, args=(tmp_path, held[1], over[0]))
    child.start()
    os.read(held[0], 1)
    try:
        with pytest.raises(Unavailable, match="another process holds"), StateDirectory(tmp_path).locked(0.05):
            pass
    finally:
        os.write(over[1], b"x")
        child.join(timeout=30)
    with StateDirectory(tmp_path).locked(5):
        pass


def _hold(folder: Path, told: int, until: int) -> None:
    with StateDirectory(folder).locked():
        os.write(told, b"x")
        os.read(until, 1)


def test_given_another_thread_that_holds_the_directory_when_entered_then_it_is_unavailable(
    tmp_path: Path,
) -> None:
    state = StateDirectory(tmp_path)
    with state.locked(), pytest.raises(Unavailable, match="other calls hold"), state.locked(0.05):
        pass


def test_given_a_file_when_replaced_then_its_mode_stays_and_nothing_is_left_over(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomically(path, b"1")
    path.chmod(0o600)
    write_atomically(path, b"2")
    assert path.read_bytes() == b"2" and path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["file.json"]


def test_given_a_failing_disk_when_a_file_is_replaced_then_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file.json"]


def test_given_a_last_line_without_its_end_when_repaired_then_a_whole_one_is_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "events.jsonl")
    ledger.append([{"a": 1}])
    with ledger.path.open("ab") as file:
        file.write(b'{"a": 2}')
    assert [line.value for line in ledger.read()] == [{"a": 1}]
    assert "line end" in (ledger.repair(tmp_path / "aside") or "")
    assert [line.value for line in ledger.read()] == [{"a": 1}, {"a": 2}]
    assert ledger.repair(tmp_path / "aside") is None


@given(texts)
def test_given_any_session_id_when_made_a_file_name_then_it_is_one_plain_name(session_id: str) -> None:
    name = file_name_part(session_id)
    assert name.isascii() and "/" not in name and "\x00" not in name and len(name) <= 120


def test_given_two_long_session_ids_when_made_file_names_then_they_differ() -> None:
    assert file_name_part("x" * 500) != file_name_part("x" * 501)
