"""Canonical JSON: what ECMAScript's `JSON.stringify` prints for a value with sorted keys, and RFC 8785.

The two differ in one corner: ECMAScript prints array-index-like keys first, in numeric order
(contract: milestones and demand, "Signature"). Both sort the other keys by their UTF-16 code units.
"""

import json
import math
import re
from typing import Any, NoReturn

import msgspec
import rfc8785

Value = Any
"""None, bool, float, str, list or dict: numbers are doubles, as ECMAScript's are."""

_INDEX = re.compile(r"\A(?:0|[1-9][0-9]{0,9})\Z")
_INDEX_MAX = 2**32 - 2
_INTEGER_MAX = 2**53 - 1
_SHORT_ESCAPES = {
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}
_ESCAPED = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')
_DECIMAL_EXPONENTS = range(-5, 22)
"""ECMA-262, Number::toString: where the decimal point may lie without an exponent."""
_ALIKE = (1e-4, 1e16)
"""Between these Python and msgspec print a double as ECMAScript does, but for a `.0` at the end."""


class NotJson(ValueError):
    """The text is not JSON in UTF-8; the message says where."""


def parse(raw: bytes) -> Value:
    """Parse as ECMAScript's `JSON.parse`: numbers become doubles, of duplicate keys the last wins.

    Raises `NotJson`, for text that is not UTF-8 or begins with a byte-order mark too, and for nesting deeper
    than this process can follow.
    """
    try:
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            raise NotJson("begins with a byte-order mark")
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise NotJson("nested too deeply") from error
    except ValueError as error:
        raise NotJson(str(error)) from error


def ecmascript(value: Value) -> bytes:
    """Return the canonical form that field emitters sign. Raises `NotJson` for nesting that is too deep."""
    try:
        return _text(value).encode("utf-8")
    except RecursionError as error:
        raise NotJson("nested too deeply") from error


def jcs(value: Value) -> bytes:
    """Return the canonical form of RFC 8785. Raises `NotJson` for what it has no form for."""
    try:
        return _PRINT(_as_msgspec_prints(value))
    except (_Otherwise, UnicodeEncodeError, RecursionError):
        pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotJson(str(error)) from error


def number(value: float) -> str:
    """Return a double as ECMAScript prints it; what is not finite prints as null."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    if _ALIKE[0] <= abs(value) < _ALIKE[1]:
        return repr(value).removesuffix(".0")
    sign = "-" if value < 0 else ""
    digits, point = _shortest(abs(value))
    if point not in _DECIMAL_EXPONENTS:
        exponent = point - 1
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _shortest(value: float) -> tuple[str, int]:
    """Return the shortest digits that read back as the double, and where their decimal point lies.

    Python's `repr` finds the same digits as ECMAScript; only the layout differs.
    """
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + (int(exponent) if exponent else 0)
    return digits.rstrip("0") or "0", point


def _text(value: Value) -> str:
    match value:
        case str():
            return _quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() | int():
            return number(float(value))
        case list():
            return f"[{','.join(_text(item) for item in value)}]"
        case dict():
            members = (f"{_quoted(key)}:{_text(value[key])}" for key in _sorted(value))
            return "{" + ",".join(members) + "}"
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _sorted(value: dict[str, Value]) -> list[str]:
    """Return the keys as `JSON.stringify` prints them; `__proto__` vanishes when keys are sorted there."""
    keys = sorted(value)
    joined = "".join(keys)
    if joined.isascii() and "__proto__" not in value and not any(key[:1].isdigit() for key in keys):
        return keys  # ASCII sorts the same by code points and by UTF-16 code units
    indices = [key for key in value if _INDEX.match(key) and int(key) <= _INDEX_MAX]
    known = {*indices, "__proto__"}
    others = sorted((key for key in value if key not in known), key=_utf16)
    return [*sorted(indices, key=int), *others]


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _quoted(text: str) -> str:
    return f'"{text}"' if _ESCAPED.search(text) is None else f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return _SHORT_ESCAPES.get(code) or f"\\u{code:04x}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class _Otherwise(Exception):
    """msgspec would not print a value as RFC 8785 does, or it has no form at all."""


def _as_msgspec_prints(value: Value) -> Value:
    """Return a value that msgspec prints in the canonical form: whole doubles become integers.

    Raises `_Otherwise`. msgspec's encoder is written in C, and many times as fast as a printer in Python.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is int:
        if -_INTEGER_MAX <= value <= _INTEGER_MAX:
            return value
    elif kind is float:
        if value.is_integer():
            if -_INTEGER_MAX <= value <= _INTEGER_MAX:
                return int(value)
        elif _ALIKE[0] <= abs(value) < _ALIKE[1]:
            return value
    elif kind is dict:
        # ASCII sorts the same by code points and by UTF-16 code units.
        if all(type(key) is str and key.isascii() for key in value):
            return {key: _as_msgspec_prints(item) for key, item in value.items()}
    elif kind is list:
        return [_as_msgspec_prints(item) for item in value]
    raise _Otherwise


_PRINT = msgspec.json.Encoder(order="sorted").encode
_DECODER = json.JSONDecoder(parse_int=float, parse_float=float, parse_constant=_no_constant)
