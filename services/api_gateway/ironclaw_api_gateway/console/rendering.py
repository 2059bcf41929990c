"""Templates to HTML. Everything is escaped; markup comes only from our own templates and `markup`."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ironclaw_api_gateway.console import words
from ironclaw_api_gateway.console.graph import NODE_HEIGHT, NODE_WIDTH

HERE = Path(str(files("ironclaw_api_gateway") / "console"))
STATIC = HERE / "static"
STATIC_PATH = "/console/static"
_KIB = 1024
_COMMIT = re.compile(r"\b[0-9a-f]{10}\b")


def environment() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Any] = made.filters
    filters |= {"time": time, "size": size, "first_line": first_line, "short": short, "quantity": quantity}
    filters |= {"seconds": seconds, "without": without, "titled": titled, "merged_orders": merged_orders}
    known: dict[str, Any] = made.globals
    known |= {"static": static, "words": words, "node_width": NODE_WIDTH, "node_height": NODE_HEIGHT}
    return made


@cache
def static(name: str) -> str:
    """Return the address of an asset; it changes with its content, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?v={digest}"


def time(moment: datetime | None) -> Markup:
    """Return a moment as an element that console.js turns into "3 min ago"; its title has the exact UTC."""
    if moment is None:
        return Markup('<span class="quiet">never</span>')
    utc = moment.astimezone(UTC)
    exact = f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), exact, f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    )


def size(count: int | None) -> str:
    """Return a number of bytes for people."""
    if count is None:
        return "unknown size"
    if count < _KIB:
        return f"{count} B"
    for unit, scale in (("KiB", _KIB), ("MiB", _KIB**2), ("GiB", _KIB**3)):
        if count < scale * _KIB or unit == "GiB":
            return f"{count / scale:.1f} {unit}"
    raise AssertionError("unreachable")


def first_line(text: str, length: int = 120) -> str:
    """Return the first line of a text, cut where it is long."""
    line = text.strip().split("\n", 1)[0].strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def short(text: str, length: int = 10) -> str:
    """Return the start of a hash, or the end of a ULID, which is the part that differs."""
    return text[:length] if len(text) in {40, 64} else text[-length:]


def seconds(value: float) -> str:
    """Return a duration in its largest whole unit."""
    for unit, scale in (("h", 3_600), ("min", 60)):
        if value >= scale and value % scale == 0:
            return f"{value / scale:g} {unit}"
    return f"{value:g} s"


def without(path: str, prefix: str) -> str:
    """Return a path without the folder that all of its neighbours share."""
    return path.removeprefix(prefix)


def titled(text: str, by_id: Mapping[str, Any]) -> Markup:
    """Return a text in which the ids of known orders are links with their titles."""
    if not by_id:
        return escape(text)
    parts = re.split("(" + "|".join(re.escape(order_id) for order_id in by_id) + ")", text)
    link = Markup('<a href="/console/orders/{}">{}</a>')
    shown = (link.format(p, first_line(by_id[p].title, 60)) if p in by_id else escape(p) for p in parts)
    return Markup("").join(shown)


def merged_orders(line: str, by_commit: Mapping[str, Any]) -> Markup:
    """Return a line of a mainline's log, the merge commits of known orders being links to them."""
    found = _COMMIT.search(line)
    order = by_commit.get(found[0]) if found else None
    if found is None or order is None:
        return escape(line)
    link = Markup('<a href="/console/orders/{}">{}</a>').format(order.order_id, found[0])
    return escape(line[: found.start()]) + link + escape(line[found.end() :])


def quantity(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"
