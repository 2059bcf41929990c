"""Merging without a checkout, and operational files that never land."""

from pathlib import Path

import pytest

from ironclaw_git import (
    OPERATIONAL_FILES,
    Conflict,
    GitError,
    Merged,
    Person,
    Repository,
    UnknownObject,
    add_worktree,
    commit_all,
    merge,
    promote,
    run_git,
)

from .conftest import AddOrder, RawGit

OPERATIONAL = {name: f"{name} of the order\n" for name in OPERATIONAL_FILES}


async def paths(repo: Repository, commit: str) -> list[str]:
    return [file.path for file in await repo.list_files(commit)]


async def land(repo: Repository, branch_sha: str, unit: Person) -> str:
    base = await repo.mainline_head()
    merged = await merge(repo, base, branch_sha, "Merge", unit)
    assert isinstance(merged, Merged)
    await promote(repo, merged.commit, base)
    return merged.commit


async def test_given_operational_files_when_merged_then_they_stay_on_the_branch(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    _, head = await add_order("o1", {**OPERATIONAL, "outputs/a.md": "result\n", "sub/order.json": "{}"})
    base = await repo.mainline_head()
    merged = await merge(repo, base, head, "Merge order o1", unit)
    assert isinstance(merged, Merged)
    info = await repo.commit_info(merged.commit)
    assert await paths(repo, merged.commit) == ["outputs/a.md", "sub/order.json"]
    assert (info.parents, info.tree, info.message) == ((base, head), merged.tree, "Merge order o1\n")
    assert set(OPERATIONAL) < set(await paths(repo, head))
    assert await repo.mainline_head() == base


async def test_given_the_mainlines_own_version_when_merged_then_it_is_kept_without_conflict(
    checkout: Path, raw_git: RawGit, tmp_path: Path, unit: Person
) -> None:
    (checkout / "task.md").write_text("the project's own task.md\n")
    raw_git(checkout, "add", "-A")
    raw_git(checkout, "commit", "-q", "-m", "Own task.md")
    repo = await Repository.open(checkout)
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", await repo.mainline_head())
    for name, text in OPERATIONAL.items():
        (worktree.path / name).write_text(text)
    (worktree.path / "result").write_text("r")
    head = await commit_all(worktree.path, "Work", unit, repo=repo)
    (checkout / "task.md").write_text("changed meanwhile\n")
    raw_git(checkout, "commit", "-qam", "Change task.md")
    merged = await merge(repo, await repo.mainline_head(), head, "Merge", unit)
    assert isinstance(merged, Merged)
    assert await repo.read_file(merged.commit, "task.md") == b"changed meanwhile\n"
    assert await paths(repo, merged.commit) == [".gitignore", "README.md", "result", "task.md"]


async def test_given_a_file_like_an_operational_one_when_merged_then_it_is_not_taken_for_a_rename(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    body = "".join(f'"key{n}": {n},\n' for n in range(40))
    _, seed = await add_order("seed", {"config.json": body})
    base = await land(repo, seed, unit)
    mover, _ = await add_order("o1", {"order.json": body + "1\n", "x": "y"}, base)
    (mover.path / "config.json").unlink()
    removed = await commit_all(mover.path, "Remove", unit, repo=repo)
    _, changed = await add_order("o2", {"config.json": body + '"more": 1\n'}, base)
    onto = await land(repo, changed, unit)
    assert await merge(repo, onto, removed, "Merge", unit) == Conflict(("config.json",))


async def test_given_changes_that_do_not_go_together_when_merged_then_the_paths_are_named_and_nothing_moves(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    _, seed = await add_order("seed", {"a": "1\n", "b": "1\n", "c": "1\n"})
    base = await land(repo, seed, unit)
    _, ours = await add_order("o1", {"a": "ours\n", "b": "same\n", "new": "ours\n", **OPERATIONAL}, base)
    _, theirs = await add_order(
        "o2", {"a": "theirs\n", "b": "same\n", "new": "theirs\n", "aar.json": "other"}, base
    )
    landed = await land(repo, ours, unit)
    assert await merge(repo, landed, theirs, "Merge", unit) == Conflict(("a", "new"))
    assert await repo.mainline_head() == landed


async def test_given_independent_changes_when_merged_one_after_another_then_all_land(
    repo: Repository, add_order: AddOrder, unit: Person, raw_git: RawGit
) -> None:
    base = await repo.mainline_head()
    heads = [(await add_order(f"o{n}", {f"out/{n}": str(n), **OPERATIONAL}, base))[1] for n in range(6)]
    for head in heads:
        await land(repo, head, unit)
    final = await repo.mainline_head()
    assert await paths(repo, final) == [f"out/{n}" for n in range(6)]
    assert await repo.contains_all(final, heads)
    assert "error" not in raw_git(repo.git_dir, "fsck", "--strict")


async def test_given_merged_work_when_merged_again_then_the_mainline_is_returned(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    _, head = await add_order("o1", {"a": "1", **OPERATIONAL})
    landed = await land(repo, head, unit)
    again = await merge(repo, landed, head, "Again", unit)
    assert isinstance(again, Merged)
    assert again.commit == landed


async def test_given_only_operational_files_when_merged_then_the_order_is_still_recorded(
    repo: Repository, add_order: AddOrder, unit: Person
) -> None:
    base = await repo.mainline_head()
    _, head = await add_order("o1", OPERATIONAL)
    landed = await land(repo, head, unit)
    assert landed != base
    assert await repo.contains_all(landed, [head])
    assert await paths(repo, landed) == []


async def test_given_an_unknown_or_unrelated_commit_when_merged_then_the_error_says_so(
    repo: Repository, unit: Person
) -> None:
    base = await repo.mainline_head()
    with pytest.raises(UnknownObject):
        await merge(repo, base, "a" * 40, "Merge", unit)
    tree = (await repo.git("rev-parse", f"{base}^{{tree}}")).line
    alien = (
        await repo.git("-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-m", "alien", tree)
    ).line
    with pytest.raises(GitError, match="unrelated"):
        await merge(repo, base, alien, "Merge", unit)


async def test_given_a_merge_and_promotion_when_counted_then_six_processes_do(
    repo: Repository, add_order: AddOrder, unit: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, head = await add_order("o1", {"a": "1", **OPERATIONAL})
    base = await repo.mainline_head()
    counted: list[str] = []

    plain = run_git

    async def counting(cwd: Path, *args: str, **options: object) -> object:
        counted.append(args[0])
        return await plain(cwd, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("ironclaw_git.hardened.run_git", counting)
    merged = await merge(repo, base, head, "Merge", unit)
    assert isinstance(merged, Merged)
    await promote(repo, merged.commit, base)
    assert len(counted) <= 6, counted
