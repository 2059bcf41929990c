"""What the command prints: tables and lines for people, JSON for programs."""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of every verb."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print the answer as JSON."""


PLAIN = Options()


def say(text: str = "") -> None:
    """Print a text and end the line."""
    sys.stdout.write(f"{visible(text)}\n")
    sys.stdout.flush()


def visible(text: str) -> str:
    """Return a text with its control characters shown instead of obeyed, but for line ends and tabs.

    Titles, replies and logs come from models and documents; an escape sequence in one could rewrite the
    terminal of whoever looks at it.
    """
    lines = text.replace("\r\n", "\n")
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else _shown(c) for c in lines)


def _shown(control: str) -> str:
    return chr(0x2400 + ord(control)) if ord(control) < 0x20 else "\ufffd"


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: drawn on a terminal, tab-separated elsewhere."""
    if not sys.stdout.isatty():
        say("\t".join(columns))
        for row in rows:
            say("\t".join(_cell(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    Console().print(table)


def _cell(value: object) -> str:
    """Return what fits a column: one line, without a tab."""
    return visible(" ".join(str(value).split("\t"))).replace("\n", " ")


def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def first_line(text: str, length_max: int = 70) -> str:
    """Return the first line of a text, cut."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= length_max else line[: length_max - 1] + "…"
