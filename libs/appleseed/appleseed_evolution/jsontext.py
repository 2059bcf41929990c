"""JSON text in and out: strict when read, one fixed form when written.

Written text is Python's default form, escaped to ASCII (contract: ledger files), so that whatever was read,
an unpaired surrogate too, can be written again.
"""

import json
from typing import Any, NoReturn, TypeAlias

from ironclaw_contracts.errors import BadRequest

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose members are somebody else's business, or that goes out as it is."""

DEPTH_MAX = 64
_DIGITS_MAX = 300  # a larger integer has no double, and canonical JSON knows doubles only


def parse(raw: bytes, *, depth_max: int = DEPTH_MAX) -> Any:
    """Parse one JSON text. Raises `BadRequest` saying where it is no JSON, not UTF-8 or nested too deeply."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRequest(f"the payload is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise BadRequest(f"the payload is nested deeper than {depth_max} levels") from error
    except ValueError as error:
        raise BadRequest(f"the payload is not JSON: {error}") from error
    if raw.count(b"{") + raw.count(b"[") > depth_max:  # else it cannot be nested deeper than that
        check_depth(value, depth_max)
    return value


def check_depth(value: Any, depth_max: int = DEPTH_MAX) -> None:
    """Raise `BadRequest` when objects and lists are nested deeper than `depth_max` levels."""
    level: list[Any] = [value]
    for _ in range(depth_max + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise BadRequest(f"the payload is nested deeper than {depth_max} levels")


def to_line(value: JsonObject) -> str:
    """Return an object as one line, without its line end."""
    return json.dumps(value, allow_nan=False)


def to_document(value: JsonObject) -> str:
    """Return an object as a file that people read: indented by two, ended by a line end."""
    return json.dumps(value, allow_nan=False, indent=2) + "\n"


def is_object(value: Any) -> bool:
    """Tell whether a parsed value is a JSON object."""
    return isinstance(value, dict)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise ValueError(f"an integer has more than {_DIGITS_MAX} digits")
    return int(text)


def _decimal(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is beyond the range of a double")
    return value


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_decimal, parse_constant=_no_constant)
