"""Instants of foreign systems: ISO 8601 with a date, a time and a zone, as RFC 3339 profiles it."""

import re
from datetime import UTC, datetime

from ironclaw_contracts.canonical_text import trim

_INSTANT = re.compile(
    r"\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)\Z",
    re.ASCII | re.IGNORECASE,
)


def parse_instant(text: object) -> datetime | None:
    """Return an instant in UTC; None for what is not an ISO 8601 instant."""
    if not isinstance(text, str) or _INSTANT.match(trim(text)) is None:
        return None
    try:
        return datetime.fromisoformat(trim(text).upper().replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_instant(moment: datetime) -> str:
    """Return an instant as ECMAScript's `toISOString` prints it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
