"""Moving the mainline: one winner, and a user's checkout that follows only when clean."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_git import (
    DirtyCheckout,
    Merged,
    Person,
    Repository,
    StaleRef,
    add_worktree,
    catch_up,
    commit_all,
    merge,
    promote,
)

from .conftest import AddOrder, RawGit


async def test_given_eight_promotions_at_once_when_raced_then_exactly_one_wins_each_round(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    base = await repo.mainline_head()
    heads = [(await add_order(f"o{n}", {f"f{n}": "x"}, base))[1] for n in range(8)]
    # A second Repository stands for another process: it shares no in-process state with the first.
    others = [repo, await Repository.open(repo.git_dir)]
    for _ in range(8):
        current = await repo.mainline_head()
        merges = [await merge(repo, current, head, "Merge", unit) for head in heads]
        contenders = [one.commit for one in merges if isinstance(one, Merged) and one.commit != current]
        outcomes = await asyncio.gather(
            *(promote(others[n % 2], new, current) for n, new in enumerate(contenders)),
            return_exceptions=True,
        )
        assert sum(outcome is None for outcome in outcomes) == 1
        assert all(outcome is None or isinstance(outcome, StaleRef) for outcome in outcomes)
        assert await repo.mainline_head() == contenders[outcomes.index(None)]
    assert await repo.contains_all(await repo.mainline_head(), heads)


async def test_given_a_commit_beside_the_mainline_when_promoted_then_nothing_is_rewound(
    repo: Repository, add_order: AddOrder
) -> None:
    base = await repo.mainline_head()
    _, head = await add_order("o1", {"a": "1"})
    await promote(repo, head, base)
    _, beside = await add_order("o2", {"b": "1"}, base)
    with pytest.raises(StaleRef, match="does not contain"):
        await promote(repo, beside, head)
    with pytest.raises(StaleRef, match="stands on"):
        await promote(repo, beside, base)
    assert await repo.mainline_head() == head


@pytest.fixture
async def users(checkout: Path) -> Repository:
    return await Repository.open(checkout)


async def order(users: Repository, tmp_path: Path, unit: Person, files: dict[str, str]) -> tuple[str, str]:
    base = await users.mainline_head()
    worktree = await add_worktree(users, tmp_path / "w", "order_o1", base)
    for name, text in files.items():
        (worktree.path / name).write_text(text)
    return base, await commit_all(worktree.path, "Work", unit, repo=users)


async def test_given_a_clean_checkout_when_promoted_then_its_files_follow(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n", "new": "n"})
    (checkout / "README.md").touch()
    (checkout / "untracked").write_text("the user's")
    (checkout / "debug.log").write_text("ignored")
    await promote(users, head, base)
    assert (checkout / "README.md").read_text() == "two\n"
    assert (checkout / "new").read_text() == "n"
    assert raw_git(checkout, "status", "--porcelain") == "?? untracked"
    assert raw_git(checkout, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("kind", ["modified", "deleted", "staged", "untracked-in-the-way"])
async def test_given_a_dirty_checkout_when_promoted_then_nothing_moves_and_the_mend_is_told(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit, kind: str
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n", "new": "n"})
    path = "new" if kind == "untracked-in-the-way" else "README.md"
    if kind == "deleted":
        (checkout / path).unlink()
    else:
        (checkout / path).write_text("the user's work\n")
    if kind == "staged":
        raw_git(checkout, "add", path)
    before = raw_git(checkout, "status", "--porcelain")
    with pytest.raises(DirtyCheckout, match="then retry") as caught:
        await promote(users, head, base)
    assert caught.value.paths == (path,)
    assert await users.mainline_head() == base
    assert raw_git(checkout, "status", "--porcelain") == before
    if kind != "deleted":
        assert (checkout / path).read_text() == "the user's work\n"


async def test_given_another_branch_in_the_checkout_when_promoted_then_the_checkout_is_left_alone(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n"})
    raw_git(checkout, "switch", "-q", "-c", "feature")
    (checkout / "README.md").write_text("dirty, on the feature branch\n")
    await promote(users, head, base)
    assert await users.mainline_head() == head
    assert (checkout / "README.md").read_text() == "dirty, on the feature branch\n"


async def test_given_the_mainline_out_in_a_linked_worktree_when_promoted_then_that_follows_too(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n"})
    raw_git(checkout, "switch", "-q", "-c", "feature")
    raw_git(checkout, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    await promote(users, head, base)
    assert (tmp_path / "linked" / "README.md").read_text() == "two\n"
    assert raw_git(tmp_path / "linked", "status", "--porcelain") == ""


async def test_given_a_promotion_under_way_when_the_checkout_moved_then_the_loser_is_told(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit
) -> None:
    base, head = await order(users, tmp_path, unit, {"new": "n"})
    raw_git(checkout, "commit", "-q", "--allow-empty", "-m", "The user's own commit")
    with pytest.raises(StaleRef):
        await promote(users, head, base)
    assert not (checkout / "new").exists()


_KILLED = """
import asyncio, os, pathlib, signal, sys, time
from ironclaw_git import Repository, interrupted, promote, promotion
checkout, new, old, point = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

async def half(layout, *words, **_):
    # As a git that was killed while it wrote files leaves them: one cut short, one gone, the index locked.
    pathlib.Path(checkout, "new").write_text("the new f")
    pathlib.Path(checkout, "README.md").unlink()
    lock = pathlib.Path(checkout, ".git", "index.lock")
    lock.touch()
    os.utime(lock, (time.time() - 120,) * 2)
    die()

if point == "before the mainline moved":
    promotion.swap_ref = die
elif point == "before the files moved":
    promotion.follow = die
elif point == "half of the files moved":
    interrupted.git = half
else:
    promotion.forget = die
async def main():
    await promote(await Repository.open(pathlib.Path(checkout)), new, old)

asyncio.run(main())
"""


@pytest.mark.trust
@pytest.mark.parametrize(
    "point",
    [
        "before the mainline moved",
        "before the files moved",
        "half of the files moved",
        "before the note went",
    ],
)
async def test_given_a_promotion_that_is_killed_when_gone_on_with_then_the_checkout_is_whole_and_nothing_is_lost(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit, point: str
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n", "new": "the new file\n"})
    (checkout / "untracked").write_text("the user's")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(checkout), head, base, point], check=False)
    assert killed.returncode == -signal.SIGKILL
    moved = point != "before the mainline moved"
    assert await users.mainline_head() == (head if moved else base)
    await catch_up(users)
    assert raw_git(checkout, "status", "--porcelain") == "?? untracked"
    assert (checkout / "README.md").read_text() == ("two\n" if moved else "one\n")
    if not moved:
        await promote(users, head, base)
    assert (checkout / "new").read_text() == "the new file\n"
    assert (checkout / "untracked").read_text() == "the user's"
    assert not list((checkout / ".git").glob("ironclaw.promotion*"))


async def test_given_a_promotion_that_is_killed_when_the_user_wrote_the_same_file_then_it_is_kept_and_named(
    users: Repository, checkout: Path, tmp_path: Path, unit: Person, raw_git: RawGit
) -> None:
    base, head = await order(users, tmp_path, unit, {"README.md": "two\n", "new": "n"})
    words = [sys.executable, "-c", _KILLED, str(checkout), head, base, "before the files moved"]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    (checkout / "README.md").write_text("the user's own\n")
    with pytest.raises(DirtyCheckout, match="move the files away") as caught:
        await catch_up(users)
    assert caught.value.paths == ("README.md",)
    assert (checkout / "README.md").read_text() == "the user's own\n"
    (checkout / "README.md").rename(checkout / "mine.md")
    await catch_up(users)
    assert (checkout / "README.md").read_text() == "two\n" and (checkout / "new").read_text() == "n"
    assert raw_git(checkout, "status", "--porcelain") == "?? mine.md"
