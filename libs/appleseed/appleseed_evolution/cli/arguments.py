"""Arguments that several verbs share, and what they become."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from appleseed_evolution.cli.output import note
from appleseed_evolution.config import DEFAULT_PATH
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.workspace import Workspace

Flag = Annotated[bool, Parameter(negative="")]
Several = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]
"""Several values: after one flag, or each after a flag of its own."""


class BadUsage(Exception):
    """The arguments do not go together; the message says which."""


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """Where every verb works."""

    config: Path = DEFAULT_PATH
    """The configuration file."""

    @contextmanager
    def workspace(self) -> Generator[Workspace]:
        """Open the workspace; at the end say what was found amiss in it."""
        workspace = Workspace.open(self.config)
        try:
            yield workspace
        finally:
            for notice in workspace.state.notices:
                note(notice)


PLACE = Place()


@Parameter(name="*")
@dataclass(frozen=True)
class Shown:
    """How a report is shown, and whether it is left in the state directory too."""

    format: Literal["json", "markdown"] = "json"
    """What goes to standard output."""
    write_report: Flag = False
    """Leave the report under `reports/` in the state directory."""


SHOWN = Shown()


def read_payload(file: Path | None) -> bytes:
    """Return the bytes of a file, or of standard input when none is named. Raises `OSError`."""
    return sys.stdin.buffer.read() if file is None else file.read_bytes()


def pairs(words: list[str] | None, flag: str) -> JsonObject:
    """Return `key=value` words as an object. Raises `BadUsage` naming the word that is none."""
    found: JsonObject = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise BadUsage(f"{flag} {word!r}: write it as key=value")
        found[key] = value
    return found
