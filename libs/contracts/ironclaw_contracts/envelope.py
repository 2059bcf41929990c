"""The answer every endpoint gives: `{ok, data, error}` (seed, section 0)."""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class ErrorBody(Struct, frozen=True):
    """A stable code to match on and a message for a person."""

    code: str
    message: str


class Envelope(Struct, Generic[T], frozen=True):
    """`data` is present exactly when `ok`, `error` exactly when not."""

    ok: bool
    data: T | None
    error: ErrorBody | None


def success(data: T) -> Envelope[T]:
    """Wrap an answer."""
    return Envelope(ok=True, data=data, error=None)


def failure(code: str, message: str) -> Envelope[None]:
    """Wrap an error."""
    return Envelope(ok=False, data=None, error=ErrorBody(code=code, message=message))
