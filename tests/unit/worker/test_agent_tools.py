"""What a model may write as a call, and what the tools do with paths."""

import json
from pathlib import Path

import pytest

from ironclaw_chassis.model import Message, ToolRequest
from ironclaw_contracts.artifacts import ToolPolicy
from ironclaw_worker.agent.conversation import with_room
from ironclaw_worker.agent.hands import Hands, Refused
from ironclaw_worker.agent.tools import (
    EditFile,
    Finish,
    ListFiles,
    Malformed,
    ReadFile,
    RunCommand,
    SearchFiles,
    WriteFile,
    parse,
    specs,
)


def call(name: str, arguments: object) -> ToolRequest:
    return ToolRequest("c", name, arguments if isinstance(arguments, str) else json.dumps(arguments))


def test_given_the_tools_when_described_then_each_has_a_schema_of_its_arguments_alone() -> None:
    described = {spec.name: spec for spec in specs()}
    assert list(described) == ["list", "read", "search", "write", "edit", "run", "finish"]
    assert described["write"].parameters["required"] == ["path", "content"]
    assert described["list"].parameters["required"] == []
    for spec in described.values():
        assert spec.description and spec.parameters["additionalProperties"] is False
        assert "type" not in spec.parameters["properties"] and "$ref" not in json.dumps(spec.parameters)


def test_given_a_call_when_well_formed_then_it_is_the_tool_s() -> None:
    assert parse(call("list", "")) == ListFiles()
    assert parse(call("run", {"argv": ["ruff", "check"]})) == RunCommand(argv=["ruff", "check"])
    assert parse(call("finish", {"summary": "s", "tests_passed": None})) == Finish(summary="s")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("delete", {}, "there is no tool 'delete'"),
        ("read", "{path: x}", "not a JSON object"),
        ("read", "[1]", "not a JSON object"),
        ("read", '{"path": "x"', "not a JSON object"),
        ("read", "[" * 50_000, "not a JSON object"),
        ("read", {}, "missing required field `path`"),
        ("read", {"path": 3}, r"\$.path"),
        ("read", {"path": "x", "mode": "w"}, "unknown field `mode`"),
        ("run", {"argv": "rm -rf /"}, r"\$.argv"),
        ("run", {"argv": []}, "length >= 1"),
        ("read", '{"path": "\\ud800"}', "read"),
    ],
)
def test_given_a_call_when_malformed_then_the_model_is_told_what_is_wrong(
    name: str, arguments: object, says: str
) -> None:
    with pytest.raises(Malformed, match=says):
        parse(call(name, arguments))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / "src" / "a.py").write_text("one\ntwo\nthree\n")
    (root / "src" / "blob").write_bytes(b"\xff\x00")
    (root / "order.json").write_text("{}")
    (tmp_path / "outside").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "folder").symlink_to(tmp_path)
    return root


def test_given_a_tree_when_read_and_changed_then_the_tools_do_what_they_say(tree: Path) -> None:
    hands = Hands(tree, ToolPolicy())
    assert hands.list(ListFiles()) == "src/a.py\nsrc/blob"
    assert hands.read(ReadFile(path="src/a.py", first_line=2, lines=1)) == "     2 two\n(1 more lines)"
    assert hands.search(SearchFiles(text="thr")) == "src/a.py:3: three"
    assert hands.write(WriteFile(path="docs/new.md", content="x")) == "made docs/new.md"
    assert hands.edit(EditFile(path="src/a.py", old="two\n", new="2\n")) == "edited src/a.py"
    assert (tree / "src" / "a.py").read_text() == "one\n2\nthree\n"
    with pytest.raises(Refused, match="0 times"):
        hands.edit(EditFile(path="src/a.py", old="two", new=""))
    with pytest.raises(Refused, match="not text"):
        hands.read(ReadFile(path="src/blob"))


BAD_PATHS = [
    *("../outside", "/etc/passwd", "src/../../outside", "~/x", ".git/config", "src/.GIT/x", "link"),
    *("folder/outside", "folder/new", "a\x00b", "./../outside", "src/a.py/below"),
]


@pytest.mark.trust
@pytest.mark.parametrize("path", BAD_PATHS)
def test_given_a_path_that_leads_out_when_any_tool_gets_it_then_it_is_refused(tree: Path, path: str) -> None:
    hands = Hands(tree, ToolPolicy())
    for act in (
        lambda: hands.read(ReadFile(path=path)),
        lambda: hands.write(WriteFile(path=path, content="x")),
        lambda: hands.edit(EditFile(path=path, old="secret", new="x")),
        lambda: hands.list(ListFiles(folder=path)),
        lambda: hands.search(SearchFiles(text="secret", folder=path)),
    ):
        with pytest.raises(Refused):
            act()
    assert (tree.parent / "outside").read_text() == "secret"
    assert sorted(one.name for one in tree.parent.iterdir()) == ["outside", "tree"]


@pytest.mark.parametrize(
    "path", ["order.json", "aar.json", "transcript.jsonl", ".ironclaw/gates.toml", ".gitmodules", "docs/x"]
)
def test_given_a_protected_path_when_written_then_it_is_refused(tree: Path, path: str) -> None:
    with pytest.raises(Refused):
        Hands(tree, ToolPolicy(fs_allowlist=["src/"])).write(WriteFile(path=path, content="x"))


def test_given_a_long_conversation_when_room_is_made_then_the_oldest_results_go_first() -> None:
    said = [
        Message(role="system", content="s" * 50),
        Message(role="tool", tool_call_id="1", content="a" * 500),
        Message(role="tool", tool_call_id="2", content="b" * 500),
    ]
    kept = with_room(said, 700)
    assert [len(message.content) > 400 for message in kept] == [False, False, True]
    assert kept[0].content == "s" * 50 and with_room(said) == said
