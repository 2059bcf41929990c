"""Bodies and queries, parsed once at the border: strictly typed, bounded, without NUL."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from litestar import Request

from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.errors import BadRequest

T = TypeVar("T")
_MAX_SAFE_DEPTH = 64
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"[]", b"{}")


def refuse_nul(value: object, path: str = "$", depth: int = 0) -> None:
    """Raise `BadRequest` when a string anywhere in the value holds NUL, which PostgreSQL cannot store."""
    if depth > _MAX_SAFE_DEPTH:
        raise BadRequest(f"the body is nested deeper than {_MAX_SAFE_DEPTH} levels at {path[:200]}")
    match value:
        case str():
            if "\x00" in value:
                raise BadRequest(f"a string holds a NUL character at {path[:200]}; remove it")
        case dict():
            for key, item in value.items():
                refuse_nul(key, path, depth + 1)
                refuse_nul(item, f"{path}.{key}", depth + 1)
        case list():
            for index, item in enumerate(value):
                refuse_nul(item, f"{path}[{index}]", depth + 1)
        case _:
            pass


def _depth(body: bytes) -> int:
    """Return how deep a valid JSON text is nested, or a bound of that when it is small or beyond the maximum.

    Only what stands between strings counts. Escaped quotes are taken out, and all that is neither bracket nor
    quote; then two quotes next to each other are an empty string, or have no bracket between two strings.
    Taking out the innermost pairs of brackets makes what is left one level less deep.
    """
    brackets = body.count(b"[") + body.count(b"{")
    if brackets <= _MAX_SAFE_DEPTH:
        return brackets
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = unescaped.translate(_ONE_KIND, _NO_MARKS).replace(b'""', b"")
    left = b"".join(marks.split(b'"')[::2])
    depth = 0
    while left and depth <= _MAX_SAFE_DEPTH:
        left = left.replace(b"{}", b"")
        depth += 1
    return depth


def decode_body(body: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode a JSON body into its struct. Raises `BadRequest` naming the field that is wrong."""
    try:
        value = decoder.decode(body)
        if b"\\u0000" in body or _depth(body) > _MAX_SAFE_DEPTH:
            refuse_nul(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not what this endpoint takes: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    return value


def decode_query(endpoint: Endpoint[Any, T, Any], pairs: Iterable[tuple[str, str]]) -> T:
    """Convert a query string into its struct. Raises `BadRequest` naming the parameter that is wrong.

    An unknown parameter is ignored, so that callers may be newer than the service; but not `as_of`: the
    present would be taken for the past.
    """
    values = {name: value for name, value in pairs if value != ""}
    if "as_of" in values and not hasattr(endpoint.query, "as_of"):
        raise BadRequest(f"as_of: {endpoint.name} answers for the present only; leave as_of out")
    try:
        query = msgspec.convert(values, endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"query of {endpoint.name}: {error}") from error
    refuse_nul(values)
    return query


class ContractRequest(Request[Any, Any, Any]):
    """A request whose body is decoded straight into the struct that the endpoint declares."""

    async def json(self) -> Any:
        """Return the body as the declared struct, not as builtins."""
        return self.route_handler.opt["decode"](await self.body())
