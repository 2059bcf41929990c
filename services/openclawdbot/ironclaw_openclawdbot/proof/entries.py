"""What the validator keeps of messages, and its rows as structs."""

import json
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from ironclaw_contracts.poi.messages import INTEGER_MAX
from ironclaw_contracts.poi.receipts import AckStatus, Receipt


class LastBeat(Struct, frozen=True):
    """The newest heartbeat of a node's key version."""

    seq_no: int
    digest: str
    ack_id: str


class Entry(Struct, frozen=True):
    """One audited message, verbatim, with its receipt."""

    ack_id: str
    kind: str
    node_id: str
    intent_id: str | None
    status: AckStatus
    at: datetime
    message: dict[str, Any]
    receipt: Receipt
    digest: str = ""


def _number(text: str) -> int | float:
    """Read a whole number as it was signed: jsonb writes 1e21 out, and only a double can be that large."""
    value = int(text)
    return value if abs(value) <= INTEGER_MAX else float(text)


def entry_of(row: Any) -> Entry:
    return Entry(
        ack_id=row["ack_id"],
        kind=row["kind"],
        node_id=row["node_id"],
        intent_id=row["intent_id"],
        status=row["status"],
        at=row["at"],
        message=json.loads(row["message"], parse_int=_number),
        receipt=msgspec.json.decode(row["receipt"], type=Receipt),
    )
