"""Worktrees: made, looked at, committed, repaired after a crash, removed without losing work."""

import asyncio
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ironclaw_git import (
    Merged,
    NotARepository,
    Occupied,
    Person,
    Repository,
    StaleRef,
    UnsafePath,
    WouldLoseWork,
    add_worktree,
    archive_by_ref,
    commit_all,
    delete_branch,
    merge,
    promote,
    remove_worktree,
    status,
)

from .conftest import AddOrder, RawGit


async def test_given_a_branch_when_added_twice_then_the_same_worktree_is_returned(
    repo: Repository, tmp_path: Path
) -> None:
    base = await repo.mainline_head()
    first = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    (first.path / "unsaved").write_text("work")
    assert await add_worktree(repo, tmp_path / "w", "order_o1", base) == first
    assert (first.path / "unsaved").read_text() == "work"
    assert (first.branch, first.head) == ("order_o1", base)


async def test_given_sixteen_at_once_when_added_then_all_stand(
    repo: Repository, tmp_path: Path, raw_git: RawGit
) -> None:
    base = await repo.mainline_head()
    made = await asyncio.gather(
        *(add_worktree(repo, tmp_path / f"w{n % 8}", f"order_o{n % 8}", base) for n in range(16))
    )
    assert len({worktree.path for worktree in made}) == 8
    assert raw_git(repo.git_dir, "worktree", "list").count("order_o") == 8


async def test_given_another_use_of_path_or_branch_when_added_then_it_is_refused(
    repo: Repository, tmp_path: Path
) -> None:
    base = await repo.mainline_head()
    await add_worktree(repo, tmp_path / "w", "order_o1", base)
    with pytest.raises(Occupied, match="already has"):
        await add_worktree(repo, tmp_path / "w", "order_o2", base)
    with pytest.raises(Occupied, match="already out"):
        await add_worktree(repo, tmp_path / "v", "order_o1", base)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "mine", tmp_path / "link"):
        with pytest.raises(Occupied, match="no worktree"):
            await add_worktree(repo, path, "order_o3", base)
    with pytest.raises(UnsafePath):
        await add_worktree(repo, repo.git_dir / "w", "order_o4", base)


@pytest.mark.parametrize(
    "crash", ["locked", "no-index", "no-files", "no-git-file", "path-gone", "branch-only", "trash"]
)
async def test_given_a_crash_at_any_point_when_added_again_then_it_is_whole(
    repo: Repository, tmp_path: Path, add_order: AddOrder, raw_git: RawGit, unit: Person, crash: str
) -> None:
    _, kept = await add_order("seed", {"file.txt": "content\n"})
    old_base = await repo.mainline_head()
    await promote(repo, kept, old_base)
    path = tmp_path / "w"
    if crash == "branch-only":
        await repo.git("branch", "order_o1", old_base)
    elif crash == "trash":
        (tmp_path / ".w.removed-0123").mkdir()
    else:
        await add_worktree(repo, path, "order_o1", kept)
        admin = repo.git_dir / "worktrees" / "w"
        if crash in {"locked", "no-index", "no-files"}:
            (admin / "locked").write_text("initializing")
            (admin / "index").unlink()
            (admin / "index.lock").write_text("")
        if crash == "no-index":
            (admin / "locked").unlink()
        if crash == "no-files":
            (path / "file.txt").unlink()
        if crash == "no-git-file":
            (path / ".git").unlink()
            (path / "unsaved").write_text("work")
        if crash == "path-gone":
            shutil.rmtree(path)
    worktree = await add_worktree(repo, path, "order_o1", kept)
    assert worktree.head == kept
    assert (path / "file.txt").read_text() == "content\n"
    assert (path / "unsaved").exists() == (crash == "no-git-file")
    assert not list(tmp_path.glob(".w.removed-*"))
    (path / "more").write_text("x")
    assert await commit_all(path, "More", unit, repo=repo) == await repo.resolve("order_o1")
    assert (await status(path, repo)).clean
    assert raw_git(path, "status", "--porcelain") == ""


async def test_given_a_branch_with_work_when_added_again_then_its_commits_stay(
    repo: Repository, add_order: AddOrder, tmp_path: Path
) -> None:
    worktree, head = await add_order("o1", {"a": "1"})
    base = await repo.mainline_head()
    await remove_worktree(repo, worktree.path, preserved=True)
    again = await add_worktree(repo, tmp_path / "other", "order_o1", base)
    assert again.head == head
    assert (again.path / "a").read_text() == "1"


async def test_given_changes_when_looked_at_then_status_names_them_and_writes_nothing(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, head = await add_order("o1", {"a": "1", "gone": "x", "dir/b": "2"})
    clean = await status(worktree.path, repo)
    assert (clean.head, clean.branch, clean.clean, clean.changed) == (head, "order_o1", True, [])
    index = (repo.git_dir / "worktrees" / "o1" / "index").stat().st_mtime_ns
    (worktree.path / "a").write_text("changed")
    (worktree.path / "gone").unlink()
    (worktree.path / "new\nline").write_text("n")
    (worktree.path / b"\xff".decode("utf-8", "surrogateescape")).write_text("bytes")
    dirty = await status(worktree.path)
    assert not dirty.clean
    assert dirty.changed == ["a", "gone", "new\nline", "\\xff"]
    assert dirty.last_change_at >= clean.last_change_at
    assert (repo.git_dir / "worktrees" / "o1" / "index").stat().st_mtime_ns == index


async def test_given_forged_dates_when_looked_at_then_the_future_does_not_count(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    (worktree.path / "b").write_text("2")
    tomorrow = time.time() + 86_400
    os.utime(worktree.path / "b", (tomorrow, tomorrow))
    assert (await status(worktree.path)).last_change_at <= datetime.now(UTC) + timedelta(seconds=1)


async def test_given_changes_of_every_kind_when_committed_then_the_tree_equals_the_worktree(
    repo: Repository, add_order: AddOrder, unit: Person, raw_git: RawGit
) -> None:
    worktree, first = await add_order(
        "o1", {"keep": "1", "gone": "x", "was-file": "f", "was-dir/x": "d", "linked/x": "l"}
    )
    path = worktree.path
    (path / "gone").unlink()
    (path / "was-file").unlink()
    (path / "was-file").mkdir()
    (path / "was-file" / "inner").write_text("i")
    shutil.rmtree(path / "was-dir")
    (path / "was-dir").write_text("now a file")
    shutil.rmtree(path / "linked")
    (path / "linked").symlink_to("/etc")
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o755)
    (path / "-option").write_text("o")
    (path / ":(exclude)x").write_text("magic")
    (path / ".gitignore").write_text("*.log\n")
    (path / "ignored.log").write_text("no")
    os.mkfifo(path / "pipe")
    head = await commit_all(path, "Everything", unit, repo=repo)
    assert [(file.path, file.mode) for file in await repo.list_files(head)] == [
        ("-option", "100644"),
        (".gitignore", "100644"),
        (":(exclude)x", "100644"),
        ("keep", "100644"),
        ("linked", "120000"),
        ("run.sh", "100755"),
        ("was-dir", "100644"),
        ("was-file/inner", "100644"),
    ]
    assert await repo.read_file(head, "linked") == b"/etc"
    info = await repo.commit_info(head)
    assert (info.parents, info.author, info.committer.name) == ((first,), unit, "IronClaw")
    assert raw_git(path, "status", "--porcelain") == ""
    assert await commit_all(path, "Nothing", unit, repo=repo) == head
    assert await commit_all(path, "Empty", unit, repo=repo, allow_empty=True) != head


async def test_given_chosen_paths_when_committed_then_only_these_are(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    worktree, first = await add_order("o1", {"a": "1"})
    for name in ("a", "b", "bb"):
        (worktree.path / name).write_text("new")
    (worktree.path / "out").mkdir()
    (worktree.path / "out" / "c").write_text("new")
    assert await commit_all(worktree.path, "None", unit, ["absent"], repo=repo) == first
    head = await commit_all(worktree.path, "Some", unit, ["b", "out"], repo=repo)
    assert [change.path for change in await repo.changed_paths(first, head)] == ["b", "out/c"]
    assert (await status(worktree.path)).changed == ["a", "bb"]


async def test_given_a_nested_repository_when_committed_then_its_files_are_plain_files(
    repo: Repository, add_order: AddOrder, unit: Person, raw_git: RawGit
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    nested = worktree.path / "nested"
    nested.mkdir()
    raw_git(nested, "init", "-q")
    (nested / "inner").write_text("work")
    raw_git(nested, "add", "-A")
    raw_git(nested, "commit", "-q", "-m", "inner")
    head = await commit_all(worktree.path, "Nested", unit, repo=repo)
    assert [(file.path, file.mode) for file in await repo.list_files(head)] == [
        ("a", "100644"),
        ("nested/inner", "100644"),
    ]
    assert (await status(worktree.path)).clean


async def test_given_a_lock_left_by_a_crash_when_committed_then_it_is_cleared_only_when_old(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    worktree, first = await add_order("o1", {"a": "1"})
    lock = repo.git_dir / "worktrees" / "o1" / "index.lock"
    lock.write_text("")
    (worktree.path / "b").write_text("2")
    with pytest.raises(Exception, match=r"index\.lock"):
        await commit_all(worktree.path, "B", unit, repo=repo)
    an_hour_ago = time.time() - 3_600
    os.utime(lock, (an_hour_ago, an_hour_ago))
    assert await commit_all(worktree.path, "B", unit, repo=repo) != first


async def test_given_a_worktree_whose_git_was_replaced_when_used_with_its_repository_then_it_is_refused(
    repo: Repository, add_order: AddOrder, unit: Person, raw_git: RawGit
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    (worktree.path / ".git").unlink()
    raw_git(worktree.path, "init", "-q")
    for attempt in (status(worktree.path, repo), commit_all(worktree.path, "x", unit, repo=repo)):
        with pytest.raises(UnsafePath):
            await attempt
    with pytest.raises(WouldLoseWork):
        await remove_worktree(repo, worktree.path, preserved=False)


async def test_given_uncommitted_work_when_removed_then_it_is_refused_until_preserved(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, head = await add_order("o1", {"a": "1"})
    await archive_by_ref(repo, head, "o1", 1)
    (worktree.path / "b").write_text("2")
    with pytest.raises(WouldLoseWork, match="archive it first") as caught:
        await remove_worktree(repo, worktree.path, preserved=False)
    assert caught.value.paths == ("b",)
    assert (worktree.path / "b").exists()
    await remove_worktree(repo, worktree.path, preserved=True)
    assert not worktree.path.exists()
    await remove_worktree(repo, worktree.path, preserved=False)


async def test_given_unmerged_commits_when_removed_then_it_is_refused_until_archived_or_merged(
    repo: Repository, add_order: AddOrder, unit: Person, raw_git: RawGit
) -> None:
    worktree, head = await add_order("o1", {"a": "1"})
    other, other_head = await add_order("o2", {"b": "1"})
    with pytest.raises(WouldLoseWork, match="neither merged nor archived"):
        await remove_worktree(repo, worktree.path, preserved=False)
    with pytest.raises(WouldLoseWork):
        await delete_branch(repo, "order_o1", head)
    await archive_by_ref(repo, head, "o1", 1)
    with pytest.raises(Occupied):
        await delete_branch(repo, "order_o1", head)
    await remove_worktree(repo, worktree.path, preserved=False)
    base = await repo.mainline_head()
    merged = await merge(repo, base, other_head, "Merge", unit)
    assert isinstance(merged, Merged)
    await promote(repo, merged.commit, base)
    await remove_worktree(repo, other.path, preserved=False)
    with pytest.raises(StaleRef):
        await delete_branch(repo, "order_o1", base)
    await delete_branch(repo, "order_o1", head)
    await delete_branch(repo, "order_o1", head)
    assert "refs/heads/order_o1" not in await repo.refs("refs/heads")
    assert raw_git(repo.git_dir, "worktree", "list").count("\n") == 0


async def test_given_a_folder_that_is_no_worktree_when_removed_then_it_stays(
    repo: Repository, tmp_path: Path, checkout: Path
) -> None:
    with pytest.raises(NotARepository):
        await remove_worktree(repo, checkout, preserved=True)
    users = await Repository.open(checkout)
    with pytest.raises(NotARepository):
        await remove_worktree(users, checkout, preserved=True)
    with pytest.raises(WouldLoseWork):
        await delete_branch(users, "main", await users.mainline_head())
    assert (checkout / "README.md").exists()
