"""Trees laid out as files, commits made without a checkout, and merges foreseen."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironclaw_git import (
    Conflict,
    Merged,
    Person,
    Repository,
    UnknownObject,
    UnsafePath,
    commit_changed,
    export_tree,
    foresee,
    join,
    merge,
)
from tests.unit.git.conftest import AddOrder

UNIT = Person("Unit", "unit@fleet.example")


async def test_given_a_commit_when_exported_then_its_files_are_there_and_no_repository(
    repo: Repository, add_order: AddOrder, tmp_path: Path
) -> None:
    worktree, head = await add_order("o1", {"src/a.py": "a\n", ".gitattributes": "*.py export-ignore\n"})
    (worktree.path / "link").symlink_to("src/a.py")
    folder = tmp_path / "out"
    folder.mkdir()
    await export_tree(repo, head, folder)
    assert sorted(p.name for p in folder.iterdir()) == [".gitattributes", "src"]
    assert (folder / "src/a.py").read_text() == "a\n"
    with pytest.raises(UnknownObject):
        await export_tree(repo, "a" * 40, folder)


async def test_given_changes_when_committed_on_a_commit_then_only_they_differ_and_no_ref_moves(
    repo: Repository, add_order: AddOrder
) -> None:
    _, head = await add_order("o1", {"a": "a\n", "b": "b\n"})
    before = await repo.refs()
    planted = await commit_changed(repo, head, {"a": b"changed", "b": None, "new/c": b"c"}, "Plant")
    changed = {(one.path, one.status) for one in await repo.changed_paths(head, planted)}
    assert changed == {("a", "M"), ("b", "D"), ("new/c", "A")}
    assert await repo.refs() == before
    with pytest.raises(UnsafePath):
        await commit_changed(repo, head, {".git/config": b"x"}, "Plant")


async def test_given_a_chain_when_joined_then_one_step_has_its_tree_and_the_same_again_is_the_same(
    repo: Repository, add_order: AddOrder
) -> None:
    base = await repo.mainline_head()
    (_, one), (_, two) = await add_order("o1", {"a": "a\n"}), await add_order("o2", {"b": "b\n"})
    when = datetime(2026, 1, 1, tzinfo=UTC)
    first = await merge(repo, base, one, "Merge o1", UNIT, when=when)
    assert isinstance(first, Merged)
    second = await merge(repo, first.commit, two, "Merge o2", UNIT, when=when)
    assert isinstance(second, Merged)
    joined = await join(repo, base, second.commit, "Merge 2 orders", when=when)
    info = await repo.commit_info(joined)
    assert (info.tree, info.parents) == (second.tree, (base, second.commit))
    assert await join(repo, base, second.commit, "Merge 2 orders", when=when) == joined


async def test_given_two_branches_when_foreseen_then_conflicts_are_named_and_nothing_is_committed(
    repo: Repository, add_order: AddOrder
) -> None:
    (_, one), (_, two) = await add_order("o1", {"a": "1\n"}), await add_order("o2", {"a": "2\n"})
    _, three = await add_order("o3", {"c": "3\n", "aar.json": "{}"})
    assert await foresee(repo, one, two) == Conflict(("a",))
    assert isinstance(await foresee(repo, one, three), str)


async def test_given_a_history_when_its_new_files_are_asked_for_then_what_was_taken_out_again_is_there(
    repo: Repository, add_order: AddOrder
) -> None:
    base = await repo.mainline_head()
    _, head = await add_order("o1", {"kept": "kept\n"})
    secret = await commit_changed(repo, head, {"secret": b"s3cret\n", "large": b"x" * 100}, "Add")
    clean = await commit_changed(repo, secret, {"secret": None, "large": None}, "Remove")
    found = await repo.reading(
        lambda now: now.new_blobs(clean, base, file_bytes_max=50, total_bytes_max=1_000)
    )
    assert dict(found.read) == {"kept": b"kept\n", "secret": b"s3cret\n"}
    assert dict(found.larger) == {"large": 100}
    none = await repo.reading(lambda now: now.new_blobs(clean, base, file_bytes_max=50, total_bytes_max=10))
    assert not none.read
    assert await repo.reading(lambda now: now.read_files(secret, ["kept", "large", "none"], 50)) == {
        "kept": b"kept\n",
        "large": None,
        "none": None,
    }
