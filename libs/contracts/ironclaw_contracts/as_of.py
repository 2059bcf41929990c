"""A point in the ledger's past, as readers name it: a seq, or an instant."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.instants import parse_instant

_SEQ_DIGITS_MAX = 18

AsOf = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=40,
        description="The state as of a seq of the ledger, or of an instant: 2026-11-21T09:30:00Z.",
    ),
]


class AsOfQuery(Struct, frozen=True):
    """The state as of then; as of now by default."""

    as_of: AsOf | None = None


def parse_as_of(text: str) -> int | datetime:
    """Return the seq or the instant (UTC) that a reader names. Raises `BadRequest`."""
    if text.isascii() and text.isdigit() and len(text) <= _SEQ_DIGITS_MAX:
        return int(text)
    moment = parse_instant(text)
    if moment is None:
        raise BadRequest(
            f"as_of {text!r}: write a seq of the ledger, or an instant with its zone, like"
            " 2026-11-21T09:30:00Z (in a URL, + is written %2B)"
        )
    return moment
