"""What is kept under refs/ironclaw: listed with what became of it, dropped only when the mainline has it."""

from pathlib import Path

import pytest

from ironclaw_git import (
    IRONCLAW,
    GitError,
    Merged,
    Repository,
    WouldLoseWork,
    archive_by_ref,
    drop_merged,
    kept_by_then,
    kept_refs,
    merge,
    parse_order_branch,
    promote,
    salvage,
    salvage_by_ref,
)
from tests.unit.git.conftest import AddOrder


async def test_given_salvaged_work_when_listed_then_each_says_whether_the_mainline_has_it(
    repo: Repository, add_order: AddOrder
) -> None:
    _, first = await add_order("first", {"a.txt": "a\n"})
    _, second = await add_order("second", {"b.txt": "b\n"})
    assert await salvage_by_ref(repo, first, "first", 1) == "refs/ironclaw/salvage/first/1"
    await salvage_by_ref(repo, second, "second", 1)
    base = await repo.mainline_head()
    merged = await merge(repo, base, first, "Merge", IRONCLAW)
    assert isinstance(merged, Merged)
    await promote(repo, merged.commit, base)
    kept = {item.order_id: item for item in await kept_refs(repo, "salvage")}
    assert {name: item.merged for name, item in kept.items()} == {"first": True, "second": False}
    assert kept["second"].commit == second and kept["second"].attempt == 1
    assert [item.order_id for item in await kept_refs(repo, "salvage", "second")] == ["second"]
    assert await kept_refs(repo, "archive") == []
    commits = {item.ref: item.commit for item in kept.values()}
    await drop_merged(repo, kept["first"])
    then = {item.order_id: item for item in await kept_by_then(repo, commits, base)}
    assert {name: item.merged for name, item in then.items()} == {"first": False, "second": False}
    assert set(await kept_by_then(repo, commits, merged.commit)) == set(kept.values())
    with pytest.raises(GitError):
        await kept_by_then(repo, {"refs/ironclaw/salvage/gone/1": "1" * 40}, base)
    with pytest.raises(WouldLoseWork, match="not merged"):
        await drop_merged(repo, kept["second"])
    assert [item.order_id for item in await kept_refs(repo, "salvage")] == ["second"]


async def test_given_a_salvage_that_has_more_when_the_branch_is_kept_again_then_nothing_is_lost(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, head = await add_order("order", {"a.txt": "a\n"})
    (Path(worktree.path) / "loose.txt").write_text("not committed\n")
    kept = await salvage(repo, worktree.path, "order", 1)
    assert kept is not None
    await salvage_by_ref(repo, head, "order", 1)
    assert (await kept_refs(repo, "salvage"))[0].commit == kept


async def test_given_archives_when_listed_then_they_are_a_family_of_their_own(
    repo: Repository, add_order: AddOrder
) -> None:
    _, head = await add_order("order", {"a.txt": "a\n"})
    await archive_by_ref(repo, head, "order", 1)
    assert [item.ref for item in await kept_refs(repo, "archive")] == ["refs/ironclaw/archive/order/1"]
    assert await kept_refs(repo, "salvage") == []


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("order_01ABC", ("01ABC", 1)),
        ("order_01ABC.2", ("01ABC", 2)),
        ("order_a_b-c.17", ("a_b-c", 17)),
        ("order_x.1", None),
        ("order_x.0", None),
        ("order_x.02", None),
        ("order_", None),
        ("order_x.2.3", None),
        ("orders_x", None),
        ("order_x/../y", None),
        ("order_x.9999999", None),
    ],
)
def test_given_a_folders_name_when_parsed_then_only_what_an_attempt_is_called_passes(
    name: str, parsed: tuple[str, int] | None
) -> None:
    assert parse_order_branch(name) == parsed
