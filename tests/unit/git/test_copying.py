"""A commit and its history, from one repository into another."""

from pathlib import Path

import pytest

from ironclaw_git import NotARepository, Repository, UnknownObject, begin_at
from tests.unit.git.conftest import AddOrder, RawGit


async def test_given_a_commit_of_another_repository_when_begun_at_then_it_is_the_mainline_with_its_history(
    repo: Repository, add_order: AddOrder, tmp_path: Path, raw_git: RawGit
) -> None:
    _, first = await add_order("order-1", {"docs/a.md": "a"})
    _, second = await add_order("order-2", {"docs/b.md": "b"}, first)
    copy = await Repository.create(tmp_path / "copy.git")
    await begin_at(copy, repo, second)
    assert await copy.mainline_head() == second
    assert await copy.contains_all(second, (first, await repo.mainline_head()))
    assert await copy.read_file(second, "docs/a.md") == b"a"
    assert "error" not in raw_git(copy.git_dir, "fsck", "--full", "--strict")


async def test_given_a_commit_that_is_not_there_when_begun_at_then_it_is_refused_and_nothing_moved(
    repo: Repository, tmp_path: Path
) -> None:
    copy = await Repository.create(tmp_path / "copy.git")
    empty = await copy.mainline_head()
    with pytest.raises(UnknownObject):
        await begin_at(copy, repo, "c" * 40)
    assert await copy.mainline_head() == empty


async def test_given_a_shallow_source_when_begun_at_then_it_is_refused(
    repo: Repository, tmp_path: Path, raw_git: RawGit
) -> None:
    shallow = tmp_path / "shallow.git"
    raw_git(tmp_path, "clone", "-q", "--bare", "--depth", "1", f"file://{repo.git_dir}", str(shallow))
    source = await Repository.open(shallow, "main")
    copy = await Repository.create(tmp_path / "copy.git")
    with pytest.raises(NotARepository, match="shallow"):
        await begin_at(copy, source, await source.mainline_head())
