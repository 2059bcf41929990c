"""TRUST row 13: hostile names in a change, by the hundred."""

import itertools

import pytest

from ironclaw_sandbox import PathRules, judge_paths
from ironclaw_sandbox.pathpolicy import Breach, Change

OPEN = PathRules()
GIT_NAMES = (
    *(".git", ".GIT", ".Git", ".git.", ".git ", ".git...", "git~1", "GIT~2", ".git::$INDEX_ALLOCATION"),
    *(".g\u200cit", ".git\u200d", "\u200e.git", ".\ufeffgit", "\uff0egit", ".g\uff49t", ".git . ."),
)
PLACES = ("{}", "{}/config", "{}/hooks/pre-commit", "src/{}", "src/{}/config", "a/b/{}/c")
UNSAFE = (
    *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a/./b", "a//b", "a/", "~/x", "~root"),
    *("-x", "--output=x", "--upload-pack=x", "a\0b", "a\nb", "a\rb", "a\tb", "a\x1bb", "a\x7f", "a\\b"),
    *("C:\\x", "\\\\host\\share", "a\u2028b", "a\u2029b", "\ud800", "a/\0"),
)
HOSTILE = {
    *(place.format(name) for name, place in itertools.product(GIT_NAMES, PLACES)),
    *(
        form.format(path)
        for path, form in itertools.product(UNSAFE, ("{}", "../{}", "a/../{}", "a\0/{}", "/x/{}"))
    ),
    *(f"a{chr(code)}b" for code in (*range(32), *range(127, 160))),
    *("../" * depth + "x" for depth in range(1, 120)),
    *(f"a/{'../' * depth}x" for depth in range(1, 120)),
}


def test_given_more_than_five_hundred_hostile_names_when_they_are_judged_then_none_passes() -> None:
    assert len(HOSTILE) >= 500
    passed = [name for name in sorted(HOSTILE) if not judge_paths([Change(name)], OPEN)]
    assert passed == []


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "src/a.py",
        ".gitignore",
        ".gitattributes",
        ".github/workflows/x.yml",
        "Ünïcode/ß",
        "a b",
        "git",
        "x.git",
        "...",
    ],
)
def test_given_an_ordinary_name_when_it_is_judged_then_it_passes(path: str) -> None:
    assert judge_paths([Change(path)], OPEN) == []


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (Change(".ironclaw/gates.toml"), Breach.PROTECTED),
        (Change(".IronClaw/gates.toml"), Breach.PROTECTED),
        (Change(".gitmodules"), Breach.PROTECTED),
        (Change("sub", mode=0o160000), Breach.SUBMODULE),
        (Change("link", mode=0o120000, link="/etc/passwd"), Breach.LINK_OUTSIDE),
        (Change("link", mode=0o120000, link="../x"), Breach.LINK_OUTSIDE),
        (Change("a/link", mode=0o120000, link="../../x"), Breach.LINK_OUTSIDE),
        (Change("a/link", mode=0o120000, link="../.git/config"), Breach.LINK_OUTSIDE),
        (Change("link", mode=0o120000), Breach.LINK_OUTSIDE),
        (Change("big", bytes=17 << 20), Breach.TOO_LARGE),
    ],
)
def test_given_a_change_that_breaks_a_rule_when_it_is_judged_then_the_rule_is_named(
    change: Change, breach: Breach
) -> None:
    assert [one.breach for one in judge_paths([change], OPEN)] == [breach]


def test_given_links_inside_when_they_are_judged_then_they_pass() -> None:
    inside = [Change("a/link", mode=0o120000, link="../b"), Change("link", mode=0o120000, link="a/b")]
    assert judge_paths(inside, OPEN) == []


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("src/", "src/a/b.py", "srcs/a"),
        ("src", "src/a", "other"),
        ("./src/*.py", "src/a.py", "src/a.txt"),
        ("README.md", "README.md", "docs/README.md"),
    ],
)
def test_given_an_allow_list_when_changes_are_judged_then_only_those_below_it_pass(
    entry: str, inside: str, outside: str
) -> None:
    rules = PathRules(fs_allowlist=(entry,))
    assert judge_paths([Change(inside)], rules) == []
    assert [one.breach for one in judge_paths([Change(outside)], rules)] == [Breach.NOT_ALLOWED]


def test_given_many_small_files_when_they_are_large_together_then_the_whole_is_refused() -> None:
    found = judge_paths([Change(f"f{number}", bytes=15 << 20) for number in range(20)], OPEN)
    assert [(one.path, one.breach) for one in found] == [("", Breach.TOO_LARGE)]
