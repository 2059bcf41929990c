"""The checks of a signed delivery, in the order that the contract gives them. Pure."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct

from ironclaw_contracts import canonical
from ironclaw_contracts.canonical_text import trim
from ironclaw_contracts.instants import parse_instant
from ironclaw_contracts.milestones import Malformed, is_storable
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_signed

Record = TypeVar("Record")

_KEY_SHOWN_MAX = 500


class Rejection(Struct, frozen=True):
    """Why a delivery was refused. `recorded` says whether it goes into the dead letters."""

    status: int
    reason: str
    idempotency_key: str | None = None
    recorded: bool = True


class Accepted(Struct, Generic[Record], frozen=True):
    """A delivery that passed every check."""

    idempotency_key: str
    record: Record


class Channel(Struct, Generic[Record], frozen=True):
    """What differs between the channels: how a record is read, and what a malformed one is called."""

    name: str
    read: Callable[[dict[str, Any]], Record]
    malformed: str


def examine(
    channel: Channel[Record],
    headers: Mapping[str, str],
    body: bytes | None,
    secrets: list[str],
    now: datetime,
    replay_window_seconds: int,
) -> Accepted[Record] | Rejection:
    """Check a delivery. `body` is None when it was too large to be read."""
    if not secrets:
        return Rejection(500, "server misconfigured: MILESTONE_SIGNING_SECRET not set", recorded=False)
    signature, timestamp = headers.get(SIGNATURE_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not signature.strip() or not timestamp.strip():
        return Rejection(401, f"missing {SIGNATURE_HEADER} or {TIMESTAMP_HEADER}")
    if body is None:
        return Rejection(413, "body too large")
    envelope = _object(body)
    if envelope is None:
        return Rejection(400, "invalid JSON body")
    key = envelope.get("idempotencyKey")
    if not isinstance(key, str) or not trim(key):
        return Rejection(400, "missing idempotencyKey")
    key = trim(key)
    shown = _shown(key)
    try:
        if not is_signed(signature, envelope, secrets):
            return Rejection(401, "invalid signature", shown)
    except canonical.NotJson:
        return Rejection(400, "invalid JSON body", shown)
    if not _is_fresh(timestamp, now, replay_window_seconds):
        return Rejection(401, "timestamp outside replay window", shown)
    if not is_storable(key):
        return Rejection(400, f"{channel.malformed}: idempotencyKey", shown)
    try:
        return Accepted(key, channel.read(envelope))
    except Malformed as error:
        return Rejection(400, f"{channel.malformed}: {error}", shown)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = canonical.parse(body)
    except canonical.NotJson:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _is_fresh(timestamp: str, now: datetime, window_seconds: int) -> bool:
    if window_seconds == 0:
        return True
    sent = parse_instant(timestamp)
    return sent is not None and math.fabs((now - sent).total_seconds()) <= window_seconds


def _shown(key: str) -> str:
    """Return a key as the dead letters keep it: storable, and not longer than anybody reads."""
    clean = "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in key)
    return clean[:_KEY_SHOWN_MAX]
