"""How a codemod is read from words, split, and held to the theater's policy."""

import pytest

from ironclaw_co.draft_plan import CannotPlan, Wish
from ironclaw_co.playbooks.codemod import known_command, matches, plan, split
from ironclaw_contracts.commands import CommandPolicy, TheaterPolicy, command_inputs, parse_policy, refusal
from ironclaw_contracts.errors import BadRequest

FILES = ("setup.py", "shop/__init__.py", "shop/a/x.py", "shop/a/y.py", "shop/b/z.py", "docs/a.md")


def wish(objective: str = "Python 3.11 style", **inputs: object) -> Wish:
    return Wish(run_id="r", objective=objective, inputs=dict(inputs), files=FILES)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("upgrade the code to Python 3.11 style", "py311"),
        ("Please move us to PYTHON 3.9", "py39"),
        ("sort the imports", "I"),
        ("remove unused imports", "F401"),
        ("format everything", "format"),
    ],
)
def test_given_words_when_they_name_a_codemod_then_its_command_is_ruff_s(words: str, part: str) -> None:
    command, suffixes = known_command(words)
    assert command[0] == "ruff" and part in command and suffixes == (".py", ".pyi")


@pytest.mark.parametrize("words", ["make it better", "Python 3.99 style", "in this formation"])
def test_given_words_when_they_name_none_then_nothing_is_guessed(words: str) -> None:
    with pytest.raises(CannotPlan):
        known_command(words)


def test_given_files_when_split_then_each_is_in_exactly_one_part() -> None:
    code = [path for path in FILES if path.endswith(".py")]
    assert [name for name, _ in split(code, "package")] == [".", "shop", "shop/a", "shop/b"]
    assert len(split(code, "file")) == 5
    assert split(code, ["shop/a/", "shop/"]) == [
        ("shop/", ["shop/__init__.py", "shop/b/z.py"]),
        ("shop/a/", ["shop/a/x.py", "shop/a/y.py"]),
    ]
    many = split([f"pkg/{number:04d}.py" for number in range(1_001)], "package")
    assert [len(paths) for _, paths in many] == [500, 500, 1]


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("shop/a/x.py", "shop", True),
        ("shop/a/x.py", "./shop/", True),
        ("shop/a/x.py", "shop/*/", True),
        ("shop/a/x.py", "*.py", True),
        ("shop/a/x.py", "./", True),
        ("shopping/x.py", "shop", False),
        ("shop/a/x.py", "*.md", False),
    ],
)
def test_given_a_pattern_when_a_path_is_held_against_it_then_folders_and_globs_mean_what_they_say(
    path: str, pattern: str, expected: bool
) -> None:
    assert matches(path, pattern) is expected


def test_given_paths_when_a_command_is_made_then_none_can_be_read_as_an_option() -> None:
    files = ("--config=evil.py", "a.py")
    made = plan(Wish(run_id="r", objective="sort imports", files=files))
    argv = command_inputs(made.tasks[0].inputs).argv
    assert argv[-2:] == ["./--config=evil.py", "./a.py"]
    asked = plan(wish(command=["ruff", "check", "{paths}", "--fix"], split="file", pattern="setup.py"))
    assert command_inputs(asked.tasks[0].inputs).argv == ["ruff", "check", "./setup.py", "--fix"]


def test_given_a_policy_when_it_lacks_the_program_then_the_refusal_names_the_file_and_the_field() -> None:
    policy = TheaterPolicy(commands=CommandPolicy(allow=["black"]))
    said = refusal("ruff", policy)
    assert said is not None and "commands.allow" in said and ".ironclaw/policy.toml" in said
    assert refusal("black", policy) is None and refusal("ruff", TheaterPolicy()) is None


@pytest.mark.parametrize(
    "text",
    [b"[commands]\nallow = ['../ruff']", b"[command]\n", b"[commands]\nallow = 'ruff'", b"\xff", b"= ="],
    ids=["a path", "misspelt", "no list", "not UTF-8", "no TOML"],
)
def test_given_a_policy_that_is_none_when_read_then_it_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(BadRequest, match=r"\.ironclaw/policy\.toml"):
        parse_policy(text)
