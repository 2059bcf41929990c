"""No work is lost: salvage onto refs, archives that restore."""

import asyncio
import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ironclaw_git import (
    NotARepository,
    Person,
    Repository,
    StaleRef,
    Worktree,
    archive,
    archive_by_ref,
    commit_all,
    promote,
    remove_worktree,
    salvage,
    salvage_ref,
    status,
)

from .conftest import AddOrder, RawGit


@pytest.fixture
async def dirty(add_order: AddOrder) -> tuple[Worktree, str]:
    """A worktree with one commit and changes of every kind on top."""
    worktree, head = await add_order("o1", {"a": "1", "gone": "x", "dir/b": "2", ".gitignore": "*.log\n"})
    path = worktree.path
    (path / "a").write_text("changed")
    (path / "gone").unlink()
    (path / "new file").write_text("n")
    (path / "ignored.log").write_text("no")
    (path / "link").symlink_to("/etc/passwd")
    return worktree, head


def snapshot(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(file): (
            file.lstat().st_mtime_ns,
            os.readlink(file).encode() if file.is_symlink() else file.read_bytes(),
        )
        for file in sorted(path.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


async def test_given_a_dirty_tree_when_salvaged_then_all_is_kept_and_nothing_in_the_worktree_moves(
    repo: Repository, dirty: tuple[Worktree, str]
) -> None:
    worktree, head = dirty
    admin = repo.git_dir / "worktrees" / "o1"
    before = snapshot(worktree.path), (admin / "index").read_bytes(), await status(worktree.path, repo)
    commit = await salvage(repo, worktree.path, "o1", 1)
    assert commit is not None
    assert await repo.refs("refs/ironclaw") == {salvage_ref("o1", 1): commit}
    assert (await repo.commit_info(commit)).parents == (head,)
    assert [(c.path, c.status) for c in await repo.changed_paths(head, commit)] == [
        ("a", "M"), ("gone", "D"), ("link", "A"), ("new file", "A"),
    ]  # fmt: skip
    assert await repo.read_file(commit, "a") == b"changed"
    assert await repo.read_file(commit, "link") == b"/etc/passwd"
    assert (
        snapshot(worktree.path),
        (admin / "index").read_bytes(),
        await status(worktree.path, repo),
    ) == before
    assert not list(admin.glob("ironclaw-salvage-*"))


async def test_given_a_salvage_when_repeated_then_it_is_the_same_and_later_work_is_added_to_it(
    repo: Repository, dirty: tuple[Worktree, str]
) -> None:
    worktree, head = dirty
    first = await salvage(repo, worktree.path, "o1", 1)
    assert first is not None
    assert await salvage(repo, worktree.path, "o1", 1) == first
    (worktree.path / "later").write_text("more")
    second = await salvage(repo, worktree.path, "o1", 1)
    assert second is not None
    assert (await repo.commit_info(second)).parents == (head, first)
    assert await salvage(repo, worktree.path, "o1", 1) == second


async def test_given_a_clean_tree_when_salvaged_then_there_is_nothing_to_keep(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    assert await salvage(repo, worktree.path, "o1", 1) is None
    assert await repo.refs("refs/ironclaw") == {}


@pytest.mark.parametrize(
    "state",
    [
        "no-git-file",
        "git-folder",
        "index-broken",
        "index-locked",
        "detached",
        "head-broken",
        "bad-encoding",
        "hidden",
    ],
)
async def test_given_a_worktree_in_a_weird_state_when_salvaged_then_its_files_are_kept(
    repo: Repository, dirty: tuple[Worktree, str], raw_git: RawGit, state: str
) -> None:
    worktree, head = dirty
    path, admin = worktree.path, repo.git_dir / "worktrees" / "o1"
    if state in {"no-git-file", "git-folder"}:
        (path / ".git").unlink()
    if state == "git-folder":
        raw_git(path, "init", "-q")
    if state == "index-broken":
        (admin / "index").write_bytes(b"DIRC garbage")
    if state == "index-locked":
        (admin / "index.lock").write_text("")
    if state == "detached":
        raw_git(path, "checkout", "-q", "--detach")
    if state == "head-broken":
        (admin / "HEAD").write_text("ref: refs/heads/never\n")
    if state == "bad-encoding":
        (path / ".gitattributes").write_text("* working-tree-encoding=UTF-99\n")
    if state == "hidden":
        raw_git(path, "update-index", "--assume-unchanged", "a")
        raw_git(path, "update-index", "--skip-worktree", "gone")
    commit = await salvage(repo, path, "o1", 1)
    assert commit is not None
    assert (await repo.commit_info(commit)).parents == (head,)
    assert await repo.read_file(commit, "a") == b"changed"
    assert await repo.read_file(commit, "new file") == b"n"
    assert "gone" not in [file.path for file in await repo.list_files(commit)]


async def test_given_a_nested_repository_when_salvaged_then_its_files_are_kept(
    repo: Repository, add_order: AddOrder, raw_git: RawGit
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    (worktree.path / "clone").mkdir()
    raw_git(worktree.path / "clone", "init", "-q")
    (worktree.path / "clone" / "inner").write_text("work")
    commit = await salvage(repo, worktree.path, "o1", 1)
    assert commit is not None
    assert [file.path for file in await repo.list_files(commit)] == ["a", "clone/inner"]


async def test_given_a_folder_that_is_no_worktree_when_salvaged_then_it_is_refused(
    repo: Repository, tmp_path: Path
) -> None:
    for path in (tmp_path, repo.git_dir, tmp_path / "absent"):
        with pytest.raises(NotARepository):
            await salvage(repo, path, "o1", 1)


async def test_given_a_branch_when_archived_by_ref_then_it_converges_and_never_drops_other_work(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    worktree, head = await add_order("o1", {"a": "1"})
    ref = await archive_by_ref(repo, head, "o1", 1)
    assert await archive_by_ref(repo, head, "o1", 1) == ref
    (worktree.path / "b").write_text("2")
    later = await commit_all(worktree.path, "Later", unit, repo=repo)
    await archive_by_ref(repo, later, "o1", 1)
    with pytest.raises(StaleRef):
        await archive_by_ref(repo, await repo.mainline_head(), "o1", 1)
    assert await repo.refs("refs/ironclaw") == {ref: later}


async def test_given_an_archive_when_restored_elsewhere_then_commits_files_and_hashes_are_the_same(
    repo: Repository, dirty: tuple[Worktree, str], tmp_path: Path, raw_git: RawGit
) -> None:
    worktree, head = dirty
    raw_git(
        tmp_path,
        "clone",
        "-q",
        "--bare",
        "--single-branch",
        "--branch",
        "main",
        f"file://{repo.git_dir}",
        "copy.git",
    )
    salvaged = await salvage(repo, worktree.path, "o1", 1)
    kept = await archive(repo, worktree.path, worktree.branch, tmp_path / "archive", "o1", 1)
    assert kept.bundle_path is not None and kept.tar_path is not None
    assert sorted(path.name for path in (tmp_path / "archive").iterdir()) == [
        "o1.1.bundle",
        "o1.1.sha256",
        "o1.1.tar",
    ]
    assert kept.deleted == ["gone"]
    assert kept.size == kept.bundle_path.stat().st_size + kept.tar_path.stat().st_size
    assert kept.sha256 == hashlib.sha256(kept.sums_path.read_bytes()).hexdigest()
    subprocess.run(["sha256sum", "-c", "--quiet", kept.sums_path.name], cwd=tmp_path / "archive", check=True)
    await remove_worktree(repo, worktree.path, preserved=True)

    copy = tmp_path / "copy.git"
    raw_git(copy, "fetch", "-q", str(kept.bundle_path), "*:*")
    assert raw_git(copy, "rev-parse", "order_o1", salvage_ref("o1", 1)).split() == [head, salvaged]
    raw_git(copy, "worktree", "add", "-q", str(tmp_path / "restored"), "order_o1")
    restored = tmp_path / "restored"
    with tarfile.open(kept.tar_path) as tar:
        assert tar.getnames() == ["a", "link", "new file"]
        tar.extractall(restored, filter=lambda entry, _: entry)
    assert (restored / "a").read_text() == "changed"
    assert (restored / "new file").read_text() == "n"
    assert os.readlink(restored / "link") == "/etc/passwd"


async def test_given_the_same_content_when_archived_twice_then_the_tar_is_the_same_bytes(
    repo: Repository, dirty: tuple[Worktree, str], tmp_path: Path
) -> None:
    worktree, _ = dirty
    first = await archive(repo, worktree.path, worktree.branch, tmp_path / "one", "o1", 1)
    (worktree.path / "a").touch()
    second = await archive(repo, worktree.path, worktree.branch, tmp_path / "two", "o1", 1)
    again = await archive(repo, worktree.path, worktree.branch, tmp_path / "two", "o1", 1)
    assert first.tar_path is not None and second.tar_path is not None
    assert first.tar_path.read_bytes() == second.tar_path.read_bytes()
    assert again.tar_path == second.tar_path
    assert len(list((tmp_path / "two").iterdir())) == 3


async def test_given_merged_and_clean_work_when_archived_then_there_is_neither_bundle_nor_tar(
    repo: Repository, add_order: AddOrder, tmp_path: Path
) -> None:
    worktree, head = await add_order("o1", {"a": "1"})
    await promote(repo, head, await repo.mainline_head())
    kept = await archive(repo, worktree.path, worktree.branch, tmp_path / "archive", "o1", 1)
    assert (kept.bundle_path, kept.tar_path, kept.size, kept.deleted) == (None, None, 0, [])


async def test_given_links_swapped_in_when_archived_then_nothing_outside_is_read(
    repo: Repository, add_order: AddOrder, tmp_path: Path
) -> None:
    worktree, _ = await add_order("o1", {"dir/b": "2"})
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "b").write_text("secret")
    (worktree.path / "dir" / "b").unlink()
    (worktree.path / "dir").rmdir()
    (worktree.path / "dir").symlink_to(secret)
    (worktree.path / "direct").symlink_to(secret / "b")
    kept = await archive(repo, worktree.path, worktree.branch, tmp_path / "archive", "o1", 1)
    assert kept.tar_path is not None
    assert b"secret" not in kept.tar_path.read_bytes()
    commit = await salvage(repo, worktree.path, "o1", 1)
    assert commit is not None
    assert await repo.read_file(commit, "dir") == str(secret).encode()


async def test_given_a_missing_branch_when_archived_then_nothing_is_written(
    repo: Repository, dirty: tuple[Worktree, str], tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="cannot be bundled"):
        await archive(repo, dirty[0].path, "order_other", tmp_path / "archive", "o1", 1)
    assert await asyncio.to_thread(lambda: list((tmp_path / "archive").iterdir())) == []
