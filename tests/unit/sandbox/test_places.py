"""TRUST row 13: what an allow-list or a folder of a command may name, tried with hostile names by the hundred."""

import itertools
import os
from pathlib import Path

import pytest

from ironclaw_sandbox import BadPolicy, Policy
from ironclaw_sandbox.places import locate

ODD = (
    *(
        "..",
        ".",
        "",
        "~",
        "~root",
        "-x",
        "--bind",
        "--ro-bind",
        "a\0b",
        "a\nb",
        "\\",
        "\\..\\..",
        " ",
        "*",
        "?",
        "[",
        "[]",
    ),
    *(
        "**",
        "*/../..",
        "..*",
        "%2e%2e",
        "..;",
        "\u202e..",
        "．．",
        "ünï",
        "\udcff",
        ".git",
        ".GIT",
        ".Git",
        "in",
        "out",
        "dir-out",
    ),
    *("loop", "etc", "x" * 300),
)
HOSTILE = {
    *(
        form.format(name)
        for name, form in itertools.product(ODD, ("{}", "/{}", "{}/", "src/{}", "{}/x", "./{}", "../{}"))
    ),
    *(f"{first}/{second}" for first, second in itertools.product(ODD, ODD[:12])),
    *("../" * depth for depth in range(1, 60)),
    *("src/" + "../" * depth + "outside" for depth in range(2, 60)),
}


def entries(folder: Path) -> set[str]:
    return {
        os.path.join(parent, name) for parent, *names in os.walk(folder) for name in itertools.chain(*names)
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    worktree = tmp_path / "tree"
    (worktree / "src").mkdir(parents=True)
    (worktree / ".git").mkdir()
    (tmp_path / "outside").mkdir()
    (worktree / "in").symlink_to("src")
    (worktree / "out").symlink_to("../outside")
    (worktree / "dir-out").symlink_to(tmp_path / "outside")
    (worktree / "loop").symlink_to("loop")
    (worktree / "etc").symlink_to("/etc")
    return worktree


def test_given_hundreds_of_hostile_names_when_an_allow_list_has_one_then_nothing_outside_is_opened_or_made(
    tree: Path,
) -> None:
    assert len(HOSTILE) >= 500
    before = entries(tree.parent) - entries(tree)
    refused = 0
    for name in sorted(HOSTILE):
        try:
            found = locate(Policy(worktree=tree, fs_allowlist=(name,)), ".")
        except BadPolicy as problem:
            assert "fs_allowlist" in problem.message
            refused += 1
            continue
        for path in found.writable:
            real = Path(path).resolve()
            assert real == Path(path) and real.is_relative_to(tree), name
            assert ".git" not in {part.casefold() for part in real.relative_to(tree).parts}, name
        if str(tree) in found.writable:
            assert found.protected == (str(tree / ".git"),)
    assert entries(tree.parent) - entries(tree) == before
    assert list((tree / ".git").iterdir()) == []
    assert 200 < refused < len(HOSTILE)


def test_given_hundreds_of_hostile_names_when_one_is_the_folder_then_it_is_inside_or_refused(
    tree: Path,
) -> None:
    before = entries(tree.parent)
    for name in sorted(HOSTILE):
        try:
            found = locate(Policy(worktree=tree), name)
        except BadPolicy as problem:
            assert "folder" in problem.message
            continue
        assert Path(found.folder).resolve().is_relative_to(tree), name
    assert entries(tree.parent) == before


def test_given_nested_entries_when_they_are_resolved_then_only_the_outermost_is_kept(tree: Path) -> None:
    found = locate(Policy(worktree=tree, fs_allowlist=("src/a/b", "in", "src/a", "docs/")), ".")
    assert found.writable == (str(tree / "docs"), str(tree / "src"))


def test_given_git_that_is_a_link_when_it_is_resolved_then_it_is_refused(tree: Path) -> None:
    (tree / ".git").rmdir()
    (tree / ".git").symlink_to("src")
    with pytest.raises(BadPolicy, match=r"\.git is a link"):
        locate(Policy(worktree=tree), ".")
