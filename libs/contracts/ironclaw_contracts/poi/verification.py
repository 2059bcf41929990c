"""Check stored messages and their receipts again, with nothing but the keys: for offline verification."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ironclaw_contracts.canonical import NotJson
from ironclaw_contracts.endpoints.openclawdbot_proof import AuditedMessage
from ironclaw_contracts.poi.receipts import fault_of_receipt
from ironclaw_contracts.poi.signatures import Signature, fault_of

_NAMES = {"announce": ("intent", "intent_signature"), "heartbeat": ("heartbeat", "signature")}
"""What is signed and by which member. The rest of a message is not looked at: it was well-formed by the rules
of its day."""


class Checked(Struct, frozen=True):
    """How many messages were checked, and the first that does not hold."""

    messages: int
    fault: str | None
    ack_id: str | None


def verify(
    messages: Iterable[AuditedMessage], keys: Mapping[tuple[str, str], str], validator_id: str
) -> Checked:
    """Return the first fault. `keys` maps node and key version to the registered did:key."""
    count = 0
    for message in messages:
        count += 1
        fault = _fault(message, keys, validator_id)
        if fault is not None:
            return Checked(count, fault, message.receipt.ack.ack_id)
    return Checked(count, None, None)


def _fault(message: AuditedMessage, keys: Mapping[tuple[str, str], str], validator_id: str) -> str | None:
    fault = fault_of_receipt(message.receipt, validator_id)
    if fault is not None:
        return f"the receipt: {fault}"
    if message.receipt.ack.status == "rejected":
        return None  # what was refused need not hold; that it was refused does
    signed_name, signature_name = _NAMES[message.kind]
    whole = message.message
    try:
        signed = msgspec.convert(whole[signed_name], dict[str, Any])
        signature = msgspec.convert(whole[signature_name], Signature)
        envelope = msgspec.convert(whole.get("envelope_signature"), Signature | None)
        if envelope is not None:
            covered = {name: value for name, value in whole.items() if name != "envelope_signature"}
            if (fault := fault_of(envelope, covered)) is not None:
                return f"the envelope: {fault}"
    except (KeyError, msgspec.ValidationError, NotJson) as error:
        return f"the message: {error}"
    registered = keys.get((message.node_id, signature.key_version))
    if registered != signature.public_key_ref:
        return f"key {signature.key_version} of node {message.node_id} is not the registered one"
    fault = fault_of(signature, signed)
    return f"the message: {fault}" if fault is not None else None
