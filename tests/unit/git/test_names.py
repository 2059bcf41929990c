"""What names and paths are accepted: row 13 of the table of trust, on the pure functions."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironclaw_git import (
    Person,
    UnsafeName,
    UnsafePath,
    archive_ref,
    check_branch,
    check_id,
    check_ref,
    check_relative_path,
    check_sha,
    contained,
    order_branch,
    salvage_ref,
)
from ironclaw_git.names import check_message, check_person, check_revision
from ironclaw_git.paths import absolute, is_git_dir_name

pytestmark = pytest.mark.trust


def test_given_500_hostile_names_and_paths_when_checked_then_each_is_refused(
    hostile_names: list[str], hostile_paths: list[str]
) -> None:
    assert len(hostile_names) + len(hostile_paths) >= 500
    for name in hostile_names:
        for check in (check_branch, check_ref, check_sha, order_branch_of):
            if not (check is check_ref and name == "refs/heads/main") and not (
                check is check_sha and name == "0" * 40
            ):
                with pytest.raises(UnsafeName):
                    check(name)
                    pytest.fail(f"{check.__name__} accepted {name!r}")
    for path in hostile_paths:
        with pytest.raises(UnsafePath):
            check_relative_path(path)
            pytest.fail(f"accepted {path!r}")


def order_branch_of(order_id: str) -> str:
    # 40 digits or HEAD are ordinary identifiers; behind `order_` they are ordinary branches too.
    if order_id in {"0" * 40, "A" * 40, "HEAD", "head", "FETCH_HEAD", "ORIG_HEAD", "stash"}:
        raise UnsafeName(order_id)
    return order_branch(order_id, 1)


@pytest.mark.parametrize("branch", ["main", "feature/x", "order_01J.2", "v1.0", "a+b", "release-1/x_y"])
def test_given_an_ordinary_branch_when_checked_then_it_passes(branch: str) -> None:
    assert check_branch(branch) == branch


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.txt",
        ".gitignore",
        ".github/x.yml",
        "dir/-x",
        "ü/é.md",
        "a b",
        ".gitattributes",
        "git",
        "a:b",
    ],
)
def test_given_an_ordinary_path_when_checked_then_it_passes(path: str) -> None:
    assert check_relative_path(path) == path


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z", "C")), max_size=40))
def test_given_any_text_when_accepted_as_a_branch_then_git_accepts_it_and_it_is_no_option(text: str) -> None:
    try:
        branch = check_branch(text)
    except UnsafeName:
        return
    assert not branch.startswith("-")
    assert subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=False).returncode == 0


@given(st.lists(st.sampled_from(["..", ".", "a", ".git", "", "~", "-x", "b\n", "git~1", "c"]), max_size=6))
def test_given_any_components_when_accepted_as_a_path_then_it_stays_below_the_root(parts: list[str]) -> None:
    try:
        path = check_relative_path("/".join(parts))
    except UnsafePath:
        return
    assert set(parts) <= {"a", "c", "-x", "~"}
    assert Path("/root").joinpath(path).resolve().is_relative_to("/root")


@pytest.mark.parametrize("value", ["", "a" * 65, "-a", "_a", "a\n", "a/b", "a.b", "..", "é", "a b", "a\0"])
def test_given_a_bad_id_when_refs_are_named_then_it_is_refused_with_the_field(value: str) -> None:
    for name in (order_branch, salvage_ref, archive_ref):
        with pytest.raises(UnsafeName, match="order_id"):
            name(value, 1)
    with pytest.raises(UnsafeName, match="unit_id"):
        check_id(value, "unit_id")


@pytest.mark.parametrize("attempt", [0, -1, 1_000_001, True, "1", 1.0])
def test_given_a_bad_attempt_when_refs_are_named_then_it_is_refused(attempt: int) -> None:
    with pytest.raises(UnsafeName, match="attempt"):
        order_branch("o1", attempt)


def test_given_an_order_when_named_then_branches_and_refs_follow_the_rule() -> None:
    assert (order_branch("o1", 1), order_branch("o1", 2)) == ("order_o1", "order_o1.2")
    assert salvage_ref("o1", 3) == "refs/ironclaw/salvage/o1/3"
    assert archive_ref("o1", 3) == "refs/ironclaw/archive/o1/3"
    assert check_revision("main") == "refs/heads/main"
    assert check_branch(order_branch("x" * 64, 1_000_000))


@pytest.mark.parametrize(
    "name", [".git", ".GIT", "git~1", ".git\u200c", ".git.", ".git ", ".ｇｉｔ", ".git::$DATA"]
)
def test_given_a_look_alike_of_git_when_asked_then_it_is_known(name: str) -> None:
    assert is_git_dir_name(name)


@pytest.mark.parametrize("name", [".gitignore", "git", "gitdir", ".git-x", "agit~1", "git~"])
def test_given_a_harmless_neighbour_when_asked_then_it_is_not_taken_for_git(name: str) -> None:
    assert not is_git_dir_name(name)


@pytest.mark.parametrize(
    "person",
    [
        Person("", "a@b"),
        Person("a", ""),
        Person("a<b", "c"),
        Person("a\nb", "c"),
        Person("a", "b>"),
        Person("a\0", "b"),
    ],
)
def test_given_a_person_that_git_would_alter_when_checked_then_it_is_refused(person: Person) -> None:
    with pytest.raises(UnsafeName, match="person"):
        check_person(person)


@pytest.mark.parametrize("message", ["", "  \n", "a\0b", "x" * 262_145])
def test_given_a_bad_message_when_checked_then_it_is_refused(message: str) -> None:
    with pytest.raises(UnsafeName, match="message"):
        check_message(message)


def test_given_links_when_contained_then_only_what_stays_inside_is_returned(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "inner").mkdir(parents=True)
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to("inner")
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    assert contained(root, "in/x") == root / "inner" / "x"
    assert contained(root, root / "inner") == root / "inner"
    for path in (
        "out",
        "out/x",
        "up",
        "up/outside/x",
        "loop/x",
        "..",
        "../root2",
        "/etc/passwd",
        outside,
        "a\0b",
        "a\nb",
    ):
        with pytest.raises(UnsafePath):
            contained(root, path)
    with pytest.raises(UnsafePath):
        contained(tmp_path / "absent", "x")


@pytest.mark.parametrize("path", ["relative", "-x", "/", "/a/../b", "/a\nb", "/a\0b", ""])
def test_given_a_path_that_is_not_plainly_absolute_when_checked_then_it_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        absolute(path)
