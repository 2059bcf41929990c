"""Ed25519 over canonical bytes (RFC 8032, RFC 8785), in standard base64 with padding."""

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.poi.did import BadKey, public_key_of

ALGORITHM = "ed25519"
_BLOB_LENGTH = 88
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


_key = lru_cache(4_096)(Ed25519PublicKey.from_public_bytes)


class Signature(Struct, frozen=True):
    """Who signed, with which version of its key."""

    algorithm: str
    public_key_ref: str
    signature_blob: str
    key_version: str


def intent_hash(intent: dict[str, Any]) -> str:
    """Return the SHA-256 of a canonical intent, in hex."""
    return hashlib.sha256(jcs(intent)).hexdigest()


def sign(key: Ed25519PrivateKey, value: dict[str, Any]) -> str:
    """Return the signature over a value's canonical bytes."""
    return sign_over(key, jcs(value))


def sign_over(key: Ed25519PrivateKey, canonical: bytes) -> str:
    """Return the signature over canonical bytes."""
    return base64.b64encode(key.sign(canonical)).decode("ascii")


def fault_of(signature: Signature, value: dict[str, Any]) -> str | None:
    """Return why a signature over a value cannot be believed; None when it holds. Raises `NotJson`."""
    return fault_over(signature, jcs(value))


def fault_over(signature: Signature, canonical: bytes) -> str | None:
    """Return why a signature over canonical bytes cannot be believed; None when it holds."""
    if signature.algorithm != ALGORITHM:
        return f"algorithm {signature.algorithm!r} is not approved: use {ALGORITHM}"
    try:
        key = public_key_of(signature.public_key_ref)
    except BadKey as error:
        return f"public_key_ref: {error}"
    return fault_of_blob(key, signature.signature_blob, canonical)


def fault_of_blob(public_key: bytes, blob: str, canonical: bytes) -> str | None:
    """Return why 64 signature bytes over canonical bytes cannot be believed; None when they hold.

    One text for one signature: exact length, canonical base64, S below the group's order.
    """
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return "signature_blob is not base64"
    if len(blob) != _BLOB_LENGTH or base64.b64encode(raw).decode("ascii") != blob:
        return f"signature_blob is not {_BLOB_LENGTH} characters of canonical base64"
    if int.from_bytes(raw[32:], "little") >= _GROUP_ORDER:
        return "the signature is not canonical"
    try:
        _key(public_key).verify(raw, canonical)
    except (InvalidSignature, ValueError):
        return "the signature does not hold"
    return None
