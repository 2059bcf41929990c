"""Worktrees checked out and committed in process are those that git makes, and where git has a say it is asked."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw_git import Repository, add_worktree, commit_all
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.native import under_lock
from ironclaw_git.populate import populate
from ironclaw_git.repository import commit_tree
from ironclaw_git.stagefile import IndexLock, entry_of, read_index
from ironclaw_git.trees import commit_changed

from .comparing import (
    UNIT,
    Content,
    commit_in_process,
    put,
    require_checked_out_as_by_git,
    require_true_index,
    said,
    snapshot,
)
from .conftest import AddOrder

PATHS = (
    "a",
    "a/b",
    "a/b/c",
    "a-b",
    "a.b",
    "d/x",
    "d/e/y",
    "ü/ß",
    "new\nline",
    "-o",
    ".github/w.yml",
    "order.json",
)
contents = st.tuples(
    st.sampled_from(("file", "program", "link")), st.sampled_from((b"", b"1\n", b"2\n", b"a\r\nb\n", b"a/b"))
)
edits = st.dictionaries(st.sampled_from(PATHS), st.one_of(st.none(), contents), min_size=1, max_size=6)
hypothesis_settings = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@hypothesis_settings
@given(steps=st.lists(edits, min_size=1, max_size=3))
def test_given_any_edits_when_committed_and_checked_out_then_all_is_as_git_has_it(
    fresh: Callable[[], tuple[Repository, Path]], steps: list[dict[str, Content | None]]
) -> None:
    async def scenario() -> None:
        worktree = await add_worktree(repo, scratch / "w", "order_o1", await repo.mainline_head())
        head = worktree.head
        for step in steps:
            for path, content in step.items():
                put(worktree.path, path, content)
            head = await commit_in_process(repo, worktree.path, scratch)
            require_true_index(worktree.path)
        await require_checked_out_as_by_git(repo, head, scratch, in_process=True)

    repo, scratch = fresh()
    asyncio.run(scenario())


async def test_given_a_file_rewritten_at_once_when_committed_then_it_is_never_taken_for_unchanged(
    repo: Repository, tmp_path: Path
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"a": b"-", "d/b": b"-"}, "files")
    for number in range(20):
        worktree = await add_worktree(repo, tmp_path / f"w{number}", f"order_o{number}", base)
        for turn in range(10):
            data = bytes([65 + turn])
            for name in ("a", "d/b"):
                (worktree.path / name).write_bytes(data)
            head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
            for name in ("a", "d/b"):
                assert await repo.read_file(head, name) == data


@pytest.mark.parametrize("tick", [0, 1])
async def test_given_a_file_that_looks_as_it_did_when_committed_then_it_is_read_if_it_is_as_new_as_the_index(
    repo: Repository, tmp_path: Path, tick: int
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"a": b"1"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    git_dir = worktree_layout(worktree.path, repo).git_dir
    (worktree.path / "a").write_bytes(b"2")
    about = (worktree.path / "a").lstat()
    # As if it had been "1" and "2" within one tick of the clock, and the index of "1" was begun then, or later.
    entries, _ = read_index(git_dir)
    with IndexLock(git_dir) as lock:
        lock.replace([entry_of(b"a", 0o100644, entries[b"a"].oid, about)])
    os.utime(git_dir / "index", ns=(about.st_ctime_ns + tick,) * 2)
    head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
    assert await repo.read_file(head, "a") == (b"1" if tick else b"2")


async def test_given_an_index_when_replaced_then_its_time_is_when_it_was_locked(tmp_path: Path) -> None:
    with IndexLock(tmp_path) as lock:
        taken = (tmp_path / "index.lock").stat().st_mtime_ns
        await asyncio.sleep(0.02)
        lock.replace([])
    entries, index_ns = read_index(tmp_path)
    assert entries == {}
    assert index_ns <= taken
    assert [place.name for place in tmp_path.iterdir()] == ["index"]


async def test_given_a_process_that_ended_with_the_index_locked_when_committed_then_it_is_not_waited_for(
    repo: Repository, tmp_path: Path, add_order: AddOrder
) -> None:
    worktree, before = await add_order("o1", {"a": "1"})
    git_dir = worktree_layout(worktree.path, repo).git_dir
    ending = (
        "import os, pathlib, sys; from ironclaw_git.stagefile import IndexLock;"
        "IndexLock(pathlib.Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", ending, git_dir], check=False)
    assert (git_dir / "index.lock").exists()
    (worktree.path / "a").write_text("2")
    assert await commit_all(worktree.path, "Work", UNIT, repo=repo) != before
    assert [place.name for place in git_dir.glob("index*")] == ["index"]


async def test_given_a_file_that_feigns_its_age_when_committed_then_it_is_read(
    repo: Repository, tmp_path: Path
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"a": b"1"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    place = worktree.path / "a"
    before = place.stat()
    await asyncio.sleep(0.02)  # past the clock's tick, so that nothing but the change time tells
    place.write_bytes(b"2")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
    assert await repo.read_file(head, "a") == b"2"


async def test_given_a_wider_umask_when_checked_out_then_modes_are_those_of_git(
    repo: Repository, tmp_path: Path, add_order: AddOrder
) -> None:
    before = os.umask(0o002)
    try:
        worktree, _ = await add_order("o1", {"d/a": "1"})
        put(worktree.path, "run", ("program", b"x"))
        head = await commit_in_process(repo, worktree.path, tmp_path)
        await require_checked_out_as_by_git(repo, head, tmp_path, in_process=True)
    finally:
        os.umask(before)


async def test_given_a_link_in_a_folders_place_when_committed_then_it_is_not_followed(
    repo: Repository, tmp_path: Path, add_order: AddOrder
) -> None:
    worktree, _ = await add_order("o1", {"d/x": "1"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("secret")
    shutil.rmtree(worktree.path / "d")
    (worktree.path / "d").symlink_to(outside)
    head = await commit_in_process(repo, worktree.path, tmp_path)
    assert [(one.path, one.mode) for one in await repo.list_files(head)] == [("d", "120000")]


async def test_given_a_tree_with_a_link_and_a_folder_of_one_name_when_checked_out_then_nothing_lies_outside(
    repo: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inner = said(repo.git_dir, "hash-object", "-w", "--stdin").strip()  # of nothing: standard input is closed
    link = tmp_path / "link"
    link.write_text(str(outside))
    target = said(repo.git_dir, "hash-object", "-w", "--no-filters", str(link)).strip()
    folder = tmp_path / "folder"
    folder.write_bytes(b"100644 x\0" + bytes.fromhex(inner))
    below = said(repo.git_dir, "hash-object", "-w", "-t", "tree", "--literally", str(folder)).strip()
    twice = tmp_path / "twice"
    twice.write_bytes(b"120000 d\0" + bytes.fromhex(target) + b"40000 d\0" + bytes.fromhex(below))
    tree = said(repo.git_dir, "hash-object", "-w", "-t", "tree", "--literally", str(twice)).strip()
    commit = await commit_tree(repo.layout, tree, (await repo.mainline_head(),), "Hostile", UNIT)
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", commit)
    assert list(outside.iterdir()) == []
    assert not await populate(worktree_layout(worktree.path, repo), commit)


async def test_given_hooks_and_drivers_when_done_in_process_then_none_runs_and_no_file_outside_has_a_say(
    repo: Repository, tmp_path: Path
) -> None:
    canary, evil = tmp_path / "canary", tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\necho ran >>{canary}\n")
    evil.chmod(0o755)
    (tmp_path / "rules").write_text("* eol=crlf filter=evil\nnew*\n")
    base = await commit_changed(repo, await repo.mainline_head(), {"a": b"1\n"}, "files")
    hooks = repo.git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-commit", "post-commit", "post-index-change", "reference-transaction"):
        shutil.copy(evil, hooks / name)
    for key, value in {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(evil),
        "core.attributesFile": str(tmp_path / "rules"),
        "core.excludesFile": str(tmp_path / "rules"),
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "user.name": "Someone",
    }.items():
        said(repo.git_dir, "config", key, value)
    canary.unlink(missing_ok=True)
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    (worktree.path / "new").write_text("2\n")
    staged = await snapshot(worktree_layout(worktree.path, repo))
    assert staged is not None
    head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
    assert await repo.read_file(head, "new") == b"2\n"
    assert (worktree.path / "a").read_bytes() == b"1\n"
    assert not canary.exists()


async def test_given_a_branch_without_a_commit_when_committed_then_git_makes_the_first(
    tmp_path: Path,
) -> None:
    root = tmp_path / "own"
    root.mkdir()
    said(root, "init", "-q", "-b", "main")
    (root / "a").write_text("1")
    assert await snapshot(worktree_layout(root)) is None
    head = await commit_all(root, "First", UNIT)
    assert said(root, "rev-parse", "HEAD").strip() == head
    (root / "a").write_text("2")
    assert await snapshot(worktree_layout(root)) is not None  # its info/exclude has comments only
    assert said(root, "diff", "--cached", "--name-only").strip() == "a"


async def test_given_a_caller_that_is_cancelled_when_work_is_under_way_then_it_is_let_go_at_its_end(
    repo: Repository,
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work(_: object) -> None:
        begun.set()
        go_on.wait(10)
        done.set()

    task = asyncio.create_task(under_lock(repo.layout, work))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0.02)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_given_the_branch_of_a_worktree_moved_meanwhile_when_committed_then_the_next_is_whole(
    repo: Repository, tmp_path: Path
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"a": b"1"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    (worktree.path / "b").write_text("2")
    await snapshot(worktree_layout(worktree.path, repo))  # and the process ends before the commit
    head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
    assert await repo.read_file(head, "b") == b"2"
    require_true_index(worktree.path)
