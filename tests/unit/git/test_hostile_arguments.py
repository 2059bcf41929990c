"""Row 13 of the table of trust on the functions that run git: nothing outside, no option injected."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ironclaw_git import (
    GitError,
    Person,
    Repository,
    UnsafeName,
    UnsafePath,
    add_worktree,
    archive,
    archive_by_ref,
    commit_all,
    delete_branch,
    merge,
    promote,
    remove_worktree,
    run_git,
    salvage,
)

from .conftest import AddOrder

pytestmark = pytest.mark.trust


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Every git command that is about to run."""

    ran: list[tuple[str, ...]] = []
    plain = run_git

    async def recording(cwd: Path, *args: str, **options: object) -> object:
        ran.append(args)
        return await plain(cwd, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("ironclaw_git.hardened.run_git", recording)
    return ran


def everything(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*") if path.name != "ironclaw.lock")


async def test_given_hostile_names_when_passed_to_every_function_then_git_is_never_started(
    repo: Repository, add_order: AddOrder, unit: Person, tmp_path: Path,
    hostile_names: list[str], processes: list[tuple[str, ...]],
) -> None:  # fmt: skip
    worktree, head = await add_order("o1", {"a": "1"})
    before = everything(tmp_path)
    await repo.refs()
    processes.clear()
    ordinary_ids = {"0" * 40, "A" * 40, "HEAD", "head", "FETCH_HEAD", "ORIG_HEAD", "stash"}
    tried = 0
    for name in hostile_names:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: add_worktree(repo, tmp_path / "new", name, head),  # noqa: B023
            lambda: delete_branch(repo, name, head),  # noqa: B023
            lambda: archive(repo, worktree.path, name, tmp_path / "kept", "o1", 1),  # noqa: B023
            lambda: Repository.create(tmp_path / "created", name),  # noqa: B023
            lambda: Repository.open(repo.git_dir, name or "-"),  # noqa: B023
        ]
        if name not in ordinary_ids:
            calls += [
                lambda: salvage(repo, worktree.path, name, 1),  # noqa: B023
                lambda: archive_by_ref(repo, head, name, 1),  # noqa: B023
                lambda: archive(repo, worktree.path, "order_o1", tmp_path / "kept", name, 1),  # noqa: B023
            ]
        if name != "0" * 40:
            calls += [
                lambda: add_worktree(repo, tmp_path / "new", "order_new", name),  # noqa: B023
                lambda: merge(repo, name, head, "m", unit),  # noqa: B023
                lambda: merge(repo, head, name, "m", unit),  # noqa: B023
                lambda: promote(repo, name, head),  # noqa: B023
                lambda: promote(repo, head, name),  # noqa: B023
                lambda: repo.contains_all(head, [name]),  # noqa: B023
                lambda: repo.list_files(name),  # noqa: B023
                lambda: repo.read_file(name, "a"),  # noqa: B023
                lambda: repo.log(name),  # noqa: B023
                lambda: repo.commit_info(name),  # noqa: B023
                lambda: repo.diff(name, head),  # noqa: B023
                lambda: repo.changed_paths(head, name),  # noqa: B023
            ]
        if name not in ordinary_ids and name != "refs/heads/main":
            calls += [lambda: repo.resolve(name), lambda: repo.refs(name)]  # noqa: B023
        for call in calls:
            tried += 1
            with pytest.raises(UnsafeName):
                await call()
                pytest.fail(f"accepted {name!r}")
    assert tried > 5_000
    assert processes == []
    assert everything(tmp_path) == before


async def test_given_hostile_paths_when_passed_to_every_function_then_nothing_outside_is_touched(
    repo: Repository, add_order: AddOrder, unit: Person, tmp_path: Path,
    hostile_paths: list[str], processes: list[tuple[str, ...]],
) -> None:  # fmt: skip
    worktree, head = await add_order("o1", {"a": "1"})
    (worktree.path / "b").write_text("2")
    before = everything(tmp_path)
    processes.clear()
    for path in hostile_paths:
        for call in (
            lambda: repo.read_file(head, path),  # noqa: B023
            lambda: commit_all(worktree.path, "m", unit, [path], repo=repo),  # noqa: B023
        ):
            with pytest.raises(UnsafePath):
                await call()
                pytest.fail(f"accepted {path!r}")
        if path.startswith("/") and "\n" not in path:
            continue
        for call in (
            lambda: add_worktree(repo, path, "order_new", head),  # noqa: B023
            lambda: remove_worktree(repo, path, preserved=True),  # noqa: B023
            lambda: salvage(repo, path, "o1", 1),  # noqa: B023
            lambda: archive(repo, worktree.path, "order_o1", path, "o1", 1),  # noqa: B023
            lambda: Repository.create(path),  # noqa: B023
            lambda: Repository.open(path),  # noqa: B023
        ):
            with pytest.raises(UnsafePath):
                await call()
                pytest.fail(f"accepted {path!r}")
    assert processes == []
    assert everything(tmp_path) == before


async def test_given_option_like_values_that_are_allowed_when_used_then_they_stay_values(
    repo: Repository, add_order: AddOrder, unit: Person, tmp_path: Path
) -> None:
    worktree, first = await add_order("o1", {"--output=x": "file named like an option"})
    hostile = Person("--upload-pack=touch x", "-c@x")
    (worktree.path / "$(touch x)").write_text("`touch x`")
    head = await commit_all(worktree.path, "--amend\n\n-m x $(touch y)", hostile, repo=repo)
    info = await repo.commit_info(head)
    assert (info.parents, info.author, info.message) == ((first,), hostile, "--amend\n\n-m x $(touch y)\n")
    spaced = await add_worktree(repo, tmp_path / "-dir with --options", "order_o2", head)
    assert (spaced.path / "--output=x").read_text() == "file named like an option"
    with pytest.raises(GitError):
        await commit_all(worktree.path, "m", Person("a\n--x", "b"), repo=repo)
    assert not any(path.name in {"x", "y"} for path in tmp_path.rglob("*"))
