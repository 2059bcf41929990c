"""One git process: bounds, endings, errors, environment."""

import asyncio
import contextlib
import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from ironclaw_git import GitError, GitTimeout, OutputTooLarge, Repository, UnknownObject, run_git
from ironclaw_git.environment import environment, search_path, settings_variables


def running_in(folder: Path) -> set[int]:
    """The processes below this one that work in a folder; whole fleets may run beside them."""
    found: set[int] = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if child.status() != psutil.STATUS_ZOMBIE and Path(child.cwd()) == folder:
                found.add(child.pid)
    return found


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that starts a child and sleeps: what a hung remote helper looks like."""
    script = tmp_path / "slow-git"
    script.write_text("#!/bin/sh\nsleep 60 &\nsleep 60\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("ironclaw_git.run.git_executable", lambda: str(script))
    return script


async def test_given_a_hung_git_when_the_time_is_up_then_its_whole_group_is_ended(
    tmp_path: Path, slow_git: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(GitTimeout, match=r"within 0\.2 s"):
        await run_git(tmp_path, "status", timeout=0.2)
    assert time.monotonic() - started < 10
    assert not running_in(tmp_path)


async def test_given_a_running_git_when_cancelled_then_nothing_is_left_behind(
    tmp_path: Path, slow_git: Path
) -> None:
    task = asyncio.create_task(run_git(tmp_path, "status"))
    async with asyncio.timeout(10):
        while len(running_in(tmp_path)) < 3:
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running_in(tmp_path)


async def test_given_a_long_answer_when_bounded_then_it_is_refused_or_cut(repo: Repository) -> None:
    variables = {"GIT_DIR": str(repo.git_dir)}
    blob = await run_git(
        repo.git_dir, "hash-object", "-w", "--stdin", input=b"x" * 5_000_000, env_extra=variables
    )
    with pytest.raises(OutputTooLarge, match="1000 bytes"):
        await run_git(repo.git_dir, "cat-file", "blob", blob.line, env_extra=variables, max_output=1000)
    cut = await run_git(
        repo.git_dir, "cat-file", "blob", blob.line, env_extra=variables, max_output=1000, truncate=True
    )
    assert (len(cut.stdout), cut.truncated) == (1000, True)


async def test_given_a_failure_when_raised_then_it_tells_the_command_but_not_the_environment(
    repo: Repository,
) -> None:
    secret = {"GIT_DIR": str(repo.git_dir), "IRONCLAW_TEST_SECRET": "hunter2"}
    with pytest.raises(GitError) as caught:
        await run_git(repo.git_dir, "no-such-command", env_extra=secret)
    assert caught.value.command == ("no-such-command",)
    assert caught.value.returncode == 1
    assert "hunter2" not in repr(caught.value) + str(vars(caught.value))
    with pytest.raises(UnknownObject):
        await run_git(repo.git_dir, "rev-list", "f" * 40, env_extra=secret)


async def test_given_a_folder_that_is_not_there_when_run_then_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="absent"):
        await run_git(tmp_path / "absent", "version")


def test_given_our_environment_when_built_then_nothing_of_the_caller_is_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    monkeypatch.setenv("IRONCLAW_KEY", "secret")
    built = environment({"X": "1"})
    assert built["X"] == "1"
    assert built["PATH"] == search_path()
    assert {name for name in built if not name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))} >= {
        "HOME",
        "LC_ALL",
    }
    assert "IRONCLAW_KEY" not in built
    assert "GIT_DIR" not in built
    assert all(Path(entry).is_absolute() for entry in search_path().split(os.pathsep))


def test_given_a_key_with_an_equals_sign_when_set_then_it_stays_whole() -> None:
    assert settings_variables([("filter.a=b.clean", "")]) == {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "filter.a=b.clean",
        "GIT_CONFIG_VALUE_0": "",
    }
