"""Where git may have a say in what a file means, its worktree is left to git."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ironclaw_git import Repository, add_worktree, commit_all
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.hardened import is_plain
from ironclaw_git.populate import populate
from ironclaw_git.trees import commit_changed
from ironclaw_git.verbatim import BYTES_MAX, FILES_MAX, STORED_MAX, is_plain_name

from .comparing import UNIT, require_checked_out_as_by_git, require_true_index, said, snapshot, tree_by_git


def attributes_beside(repo: Repository, _: Path) -> None:
    (repo.git_dir / "info").mkdir(exist_ok=True)
    (repo.git_dir / "info/attributes").write_text("# rules\n* text eol=crlf\n")


def exclude_beside(repo: Repository, _: Path) -> None:
    (repo.git_dir / "info").mkdir(exist_ok=True)
    (repo.git_dir / "info/exclude").write_text("# rules\n*.log\n")


def configured(*pairs: str) -> Callable[[Repository, Path], None]:
    def configure(repo: Repository, _: Path) -> None:
        for pair in pairs:
            said(repo.git_dir, "config", *pair.split("="))

    return configure


def written(path: bytes, text: str) -> Callable[[Repository, Path], None]:
    def write(_: Repository, worktree: Path) -> None:
        place = worktree / os.fsdecode(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    return write


def nested_repository(_: Repository, worktree: Path) -> None:
    (worktree / "nested").mkdir()
    said(worktree / "nested", "init", "-q")
    (worktree / "nested/inner").write_text("x")


def run_in_worktree(*args: str) -> Callable[[Repository, Path], None]:
    return lambda _, worktree: void(said(worktree, *args))


def void(_: object) -> None:
    """For its effect."""


def submodule(_: Repository, worktree: Path) -> None:
    (worktree / "sub").mkdir()
    said(worktree, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")


def rules_gone_from_the_worktree(repo: Repository, worktree: Path) -> None:
    written(b"d/.gitattributes", "* text eol=lf\n")(repo, worktree)
    said(worktree, "add", "d/.gitattributes")
    (worktree / "d/.gitattributes").unlink()


def many_files(_: Repository, worktree: Path) -> None:
    for number in range(FILES_MAX + 1):
        (worktree / f"many{number}").touch()


def much_changed(_: Repository, worktree: Path) -> None:
    for number in range(STORED_MAX + 1):
        (worktree / f"changed{number}").write_text(f"{number}\n")


def large_file(_: Repository, worktree: Path) -> None:
    (worktree / "large").touch()
    os.truncate(worktree / "large", BYTES_MAX + 1)


@pytest.mark.parametrize(
    "disturb",
    [
        attributes_beside,
        exclude_beside,
        configured("core.autocrlf=input"),
        configured("core.eol=crlf"),
        configured("core.fileMode=false"),
        configured("core.symlinks=false"),
        configured("core.ignoreCase=true"),
        configured("core.sparseCheckout=true"),
        configured("core.sharedRepository=group"),
        configured("index.version=4"),
        configured("feature.manyFiles=true"),
        configured("attr.tree=HEAD"),
        written(b".gitattributes", "* text eol=lf\n"),
        written(b"d/.gitattributes", "* filter=x\n"),
        written(b"d/.gitignore", "*.log\n"),
        written(b"d/.GitIgnore", "*.log\n"),
        written(b"d/latin-\xe9", "x"),
        written(b"back\\slash", "x"),
        nested_repository,
        rules_gone_from_the_worktree,
        run_in_worktree("update-index", "--index-version", "4"),
        run_in_worktree("update-index", "--split-index"),
        run_in_worktree("update-index", "--assume-unchanged", "kept"),
        run_in_worktree("update-index", "--skip-worktree", "kept"),
        submodule,
        run_in_worktree("checkout", "-q", "--detach"),
        lambda _, worktree: os.mkfifo(worktree / "pipe"),
        many_files,
        much_changed,
        large_file,
    ],
)
async def test_given_anything_that_git_may_have_a_say_in_when_committed_then_git_is_asked(
    repo: Repository, tmp_path: Path, disturb: Callable[[Repository, Path], None]
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"kept": b"1\n", "d/kept": b"2\n"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    layout = worktree_layout(worktree.path, repo)
    for name in ("kept", "d/new", "d/new.log"):
        (worktree.path / name).write_bytes(b"changed\r\n")
    disturb(repo, worktree.path)
    assert await snapshot(layout) is None
    assert not (layout.git_dir / "index.lock").exists()
    if disturb is nested_repository:  # which git would take for a submodule, and we do not
        shutil.rmtree(worktree.path / "nested/.git")
    expected = tree_by_git(worktree.path, tmp_path)
    head = await commit_all(worktree.path, "Work", UNIT, repo=repo)
    assert await repo.tree_of(head) == expected


@pytest.mark.parametrize(
    "disturb",
    [
        attributes_beside,
        configured("core.autocrlf=true"),
        configured("core.symlinks=false"),
        configured("core.sparseCheckout=true"),
        written(b".gitattributes", "* text eol=crlf\n"),
        written(b"d/.gitattributes", "* text eol=crlf\n"),
        written(b"d/latin-\xe9", "x"),
        submodule,
        many_files,
        large_file,
    ],
)
async def test_given_anything_that_git_may_have_a_say_in_when_checked_out_then_it_is_gits_work(
    repo: Repository, tmp_path: Path, disturb: Callable[[Repository, Path], None]
) -> None:
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", await repo.mainline_head())
    for name in ("kept", "d/new"):
        written(name.encode(), "one\ntwo\n")(repo, worktree.path)
    (worktree.path / "link").symlink_to("kept")
    disturb(repo, worktree.path)
    said(worktree.path, "add", "-A")
    said(worktree.path, "commit", "-q", "-m", "Work")
    head = said(worktree.path, "rev-parse", "HEAD").strip()
    await require_checked_out_as_by_git(repo, head, tmp_path, in_process=False)


async def test_given_ignore_rules_when_checked_out_then_they_have_no_say(
    repo: Repository, tmp_path: Path
) -> None:
    files: dict[str, bytes | None] = {".gitignore": b"*.log\n", "d/.gitignore": b"*\n", "a.log": b"1\n"}
    commit = await commit_changed(repo, await repo.mainline_head(), files, "files")
    await require_checked_out_as_by_git(repo, commit, tmp_path, in_process=True)


async def test_given_files_in_the_way_when_checked_out_then_git_makes_it_whole(
    repo: Repository, tmp_path: Path
) -> None:
    commit = await commit_changed(repo, await repo.mainline_head(), {"a": b"1", "d/b": b"2"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", commit)
    layout = worktree_layout(worktree.path, repo)
    (worktree.path / "a").unlink()
    (worktree.path / "d/b").write_text("other")
    assert not await populate(layout, commit)
    assert (worktree.path / "d/b").read_text() == "other"
    said(worktree.path, "read-tree", "--reset", "-u", commit)
    require_true_index(worktree.path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".git",
        ".GIT",
        ".git ",
        ".git.",
        ".git:x",
        "git~1",
        "GITATT~1",
        ".gitattributes",
        ".GitIgnore",
        ".gitmodules ",
        "a/b",
        "a\\b",
        "\u200c.git",
        ".g\u200cit",
    ],
)
def test_given_a_name_that_means_something_when_judged_then_it_is_not_plain(name: str) -> None:
    assert not is_plain_name(name.encode())


@pytest.mark.parametrize(
    "name", [".github", ".gitkeep", ".gitlab-ci.yml", "a~", "ü", "a:b", "git", "x.git", "..."]
)
def test_given_any_other_name_when_judged_then_it_is_plain(name: str) -> None:
    assert is_plain_name(name.encode())


@pytest.mark.parametrize(
    ("key", "value", "plain"),
    [
        ("core.filemode", "true", True),
        ("core.filemode", "false", False),
        ("core.filemode", "", False),
        ("core.fsmonitor", "/bin/evil", True),
        ("core.untrackedcache", "true", False),
        ("core.unheard-of", "1", False),
        ("remote.origin.url", "x", True),
        ("userx.name", "x", False),
        ("extensions.unheard-of", "1", False),
    ],
)
def test_given_a_setting_when_judged_then_only_known_ones_are_plain(
    key: str, value: str, plain: bool
) -> None:
    assert is_plain([("user.name", "x"), (key, value)]) is plain
