"""Which receipts the relay believes. Pure."""

import hashlib
from typing import Any

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.poi.messages import Announcement, Heartbeat
from ironclaw_contracts.poi.receipts import Receipt, ack_id_of, fault_of_receipt


def doubt(receipt: Receipt, message: Announcement | Heartbeat, validator_id: str) -> str | None:
    """Return why a receipt is not the validator's answer to a message; None when it is.

    The signature covers the ACK alone, so the ACK's own id must be that of what was sent: a true receipt of
    another message is no answer.
    """
    fault = fault_of_receipt(receipt, validator_id)
    if fault is not None:
        return fault
    signed: dict[str, Any] = message.intent if isinstance(message, Announcement) else message.heartbeat
    digest = hashlib.sha256(jcs(message.raw)).hexdigest()
    answers = {
        ack_id_of(validator_id, signed),
        ack_id_of(validator_id, signed, issue=1),
        ack_id_of(validator_id, signed, refused=digest),
    }
    if receipt.ack.ack_id not in answers:
        return f"ACK {receipt.ack.ack_id} is of another message"
    return None
