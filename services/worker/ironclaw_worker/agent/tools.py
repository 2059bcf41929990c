"""The tools that a model may call, each with a schema of its arguments; and what a call comes to. Pure.

What a model writes is input of a stranger: it is parsed strictly, and what does not fit is told back.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_chassis.model import ToolRequest, ToolSpec

Path = Annotated[str, Meta(min_length=1, max_length=1_024, description="Relative to the repository's root.")]
Text = Annotated[str, Meta(max_length=1_000_000)]


class ListFiles(Struct, frozen=True, forbid_unknown_fields=True, tag="list"):
    """List files below a folder, recursively; caches and installed packages are left out."""

    folder: Annotated[str, Meta(max_length=1_024)] = "."


class ReadFile(Struct, frozen=True, forbid_unknown_fields=True, tag="read"):
    """Read a text file, or some of its lines (numbered from 1)."""

    path: Path
    first_line: Annotated[int, Meta(ge=1)] = 1
    lines: Annotated[int, Meta(ge=1, le=5_000)] = 1_000


class SearchFiles(Struct, frozen=True, forbid_unknown_fields=True, tag="search"):
    """Find a text in the files below a folder; not a pattern. Returns path, line number and line."""

    text: Annotated[str, Meta(min_length=1, max_length=500)]
    folder: Annotated[str, Meta(max_length=1_024)] = "."


class WriteFile(Struct, frozen=True, forbid_unknown_fields=True, tag="write"):
    """Write a whole file, making it if need be."""

    path: Path
    content: Text


class EditFile(Struct, frozen=True, forbid_unknown_fields=True, tag="edit"):
    """Replace a passage of a file. `old` must stand there exactly once."""

    path: Path
    old: Annotated[str, Meta(min_length=1, max_length=1_000_000)]
    new: Text


class RunCommand(Struct, frozen=True, forbid_unknown_fields=True, tag="run"):
    """Run a program that the theater allows, without a shell, and return its exit status and output."""

    argv: Annotated[list[Annotated[str, Meta(max_length=32_768)]], Meta(min_length=1, max_length=1_000)]
    folder: Annotated[str, Meta(max_length=1_024)] = "."


class Finish(Struct, frozen=True, forbid_unknown_fields=True, tag="finish"):
    """End the work. Say only what you did: it is checked against the record of your calls."""

    summary: Annotated[str, Meta(min_length=1, max_length=20_000)]
    commands: Annotated[
        list[list[str]], Meta(max_length=200, description="Commands that you ran, as their argument lists.")
    ] = field(default_factory=list[list[str]])
    files_changed: Annotated[list[str], Meta(max_length=2_000)] = field(default_factory=list[str])
    tests_passed: Annotated[
        bool | None, Meta(description="Whether the last run of tests passed; null when you ran none.")
    ] = None


Call = ListFiles | ReadFile | SearchFiles | WriteFile | EditFile | RunCommand | Finish
_KINDS: dict[str, type[Call]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (ListFiles, ReadFile, SearchFiles, WriteFile, EditFile, RunCommand, Finish)
}


class Malformed(Exception):
    """What the model wrote is no call of a tool; the message tells it what is wrong."""


def specs() -> tuple[ToolSpec, ...]:
    """Return the tools as a provider wants them."""
    return tuple(
        ToolSpec(name=name, description=(kind.__doc__ or "").strip(), parameters=_schema(kind))
        for name, kind in _KINDS.items()
    )


def parse(request: ToolRequest) -> Call:
    """Return the call that a model made. Raises `Malformed` naming the tool or the argument that is wrong."""
    kind = _KINDS.get(request.name)
    if kind is None:
        raise Malformed(f"there is no tool {request.name[:100]!r}; there are {', '.join(_KINDS)}")
    given = loose_arguments(request.arguments)
    if given is None:
        raise Malformed(f"the arguments of {request.name} are not a JSON object: {request.arguments[:200]!r}")
    try:
        return msgspec.convert({**given, "type": request.name}, kind)
    except msgspec.ValidationError as error:
        raise Malformed(f"arguments of {request.name}: {error}") from error


def loose_arguments(text: str) -> dict[str, Any] | None:
    """Return arguments as they were written, for the record; None when they are no JSON object."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _schema(kind: type[Call]) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, without the tag, which is the tool's name."""
    _, components = msgspec.json.schema_components([kind])
    schema: dict[str, Any] = components[kind.__name__]
    properties = {name: one for name, one in schema["properties"].items() if name != "type"}
    required = [name for name in schema.get("required", []) if name != "type"]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
