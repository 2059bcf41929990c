"""Identifiers: made by us as ULIDs, accepted from others when they fit `ID_PATTERN` (DESIGN, contracts)."""

import re
import uuid
from typing import Annotated

from msgspec import Meta
from ulid import ULID

from ironclaw_contracts.errors import BadId

ID_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z"
_ID = re.compile(ID_PATTERN)

Id = Annotated[
    str, Meta(pattern=ID_PATTERN, description="An identifier: letters, digits, `_` and `-`, at most 64.")
]
Sha = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z", description="A git object id, 40 hex digits.")]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="A SHA-256 digest, 64 hex digits.")]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Attempt = Annotated[int, Meta(ge=1, le=1_000_000, description="The fencing token of an order's execution.")]
Seq = Annotated[
    int, Meta(ge=0, le=2**63 - 1, description="A position in the ledger; gap-free, in commit order.")
]

_NAMESPACE = uuid.UUID("6f0b1c1e-6a55-5c43-9b9f-1c0d6b0a6f10")


def new_id() -> str:
    """Return a fresh ULID, 26 characters, sortable by time (never a read cursor: use `seq`)."""
    return str(ULID())


def check_id(value: str, field: str = "id") -> str:
    """Return `value` when it is an acceptable identifier, else raise `BadId` naming the field."""
    if _ID.match(value) is None:
        raise BadId(
            f"{field} {value[:80]!r} is not an identifier: use letters, digits, '_' and '-',"
            " at most 64, starting with a letter or digit"
        )
    return value


def derived_event_id(*parts: str | int) -> str:
    """Return the same event id for the same parts, so that a retried action appends nothing new.

    The parts are (order or run id, attempt, event type, ordinal): DESIGN, "Idempotent by name".
    """
    return str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))
