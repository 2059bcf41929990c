"""Reports are written over whatever stands under their name, and through nothing."""

from pathlib import Path

import pytest

from ironclaw_worker.changes import write_beside


def test_given_a_link_under_a_report_s_name_when_it_is_written_then_the_link_is_replaced(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    worktree = tmp_path / "tree"
    worktree.mkdir()
    (worktree / "aar.json").symlink_to(outside)
    write_beside(worktree, "aar.json", b"report")
    assert outside.read_text() == "mine" and not (worktree / "aar.json").is_symlink()
    assert (worktree / "aar.json").read_bytes() == b"report" and len(list(worktree.iterdir())) == 1


def test_given_a_folder_under_a_report_s_name_when_it_is_written_then_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aar.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_beside(tmp_path, "aar.json", b"report")
