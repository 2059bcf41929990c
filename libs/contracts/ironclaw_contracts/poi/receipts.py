"""The validator's answer: an ACK, signed."""

import hashlib
import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.did import BadKey, public_key_of
from ironclaw_contracts.poi.signatures import ALGORITHM, fault_of_blob, sign_over

AckStatus = Literal["accepted", "rejected", "needs_review"]


class McpResponse(Struct, frozen=True):
    request_id: str
    timestamp: str


class Ack(Struct, frozen=True):
    """What the validator says of one message."""

    ack_id: str
    intent_id: str | None
    node_id: str
    received_at: str
    status: AckStatus
    validation_notes: list[str]


class ValidatorSignature(Struct, frozen=True):
    algorithm: str
    signature_blob: str
    validator_id: str


class Receipt(Struct, frozen=True):
    """The whole answer; `validator_signature` covers the canonical bytes of `ack`."""

    mcp_response: McpResponse
    ack: Ack
    validator_signature: ValidatorSignature


def ack_id_of(validator_id: str, signed: dict[str, Any], issue: int = 0, refused: str = "") -> str:
    """Return the id of the ACK to a signed object: the same for the same bytes, another when re-issued.

    `refused` is the digest of a whole message that was refused: whoever repeats signed bytes under a
    signature that does not hold neither gets the true message's ACK nor takes its id from it.
    """
    return ack_id_for(validator_id, hashlib.sha256(jcs(signed)).hexdigest(), issue, refused)


def ack_id_for(validator_id: str, digest: str, issue: int = 0, refused: str = "") -> str:
    """Return the id of the ACK to a signed object by the SHA-256 of its canonical bytes."""
    mark = f"#refused#{refused}" if refused else (f"#{issue}" if issue else "")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{validator_id}#{digest}{mark}"))


def receipt(key: Ed25519PrivateKey, validator_id: str, request_id: str, ack: Ack, now: datetime) -> Receipt:
    """Return an ACK signed by the validator."""
    return Receipt(
        mcp_response=McpResponse(request_id, format_instant(now)),
        ack=ack,
        validator_signature=ValidatorSignature(ALGORITHM, sign_over(key, _canonical(ack)), validator_id),
    )


_print = msgspec.json.Encoder(order="sorted").encode


def _canonical(ack: Ack) -> bytes:
    """Return what is signed of an ACK: texts and no numbers, which msgspec prints as RFC 8785 does."""
    return _print(ack)


def fault_of_receipt(found: Receipt, validator_id: str) -> str | None:
    """Return why a receipt is not this validator's; None when it is."""
    signed = found.validator_signature
    if signed.validator_id != validator_id:
        return f"signed by {signed.validator_id}, not by {validator_id}"
    if signed.algorithm != ALGORITHM:
        return f"algorithm {signed.algorithm!r}"
    try:
        key = public_key_of(signed.validator_id)
    except BadKey as error:
        return str(error)
    return fault_of_blob(key, signed.signature_blob, _canonical(found.ack))
