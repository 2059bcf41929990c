"""The hash chain: canonical bytes, links, checkpoints, and the offline verification of an export.

The ledger hashes the canonical bytes that it stores; verification hashes the bytes of the export as they
stand and never re-encodes them, so a verifier needs no JSON printer, only SHA-256 and Ed25519.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

GENESIS_HASH = "0" * 64


class EventBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is hashed of an event: everything but the two hashes. `traceparent` is absent when it has none.

    The fields stand in the order of their names, which is the canonical one. `payload` is what `canonical`
    printed.
    """

    event_id: str
    garrison_id: str
    order_id: str | None
    payload: msgspec.Raw
    run_id: str | None
    seq: int
    source: str
    theater_id: str | None
    traceparent: str | None = None
    ts: datetime
    type: str
    unit_id: str | None


class ExportedEvent(Struct, frozen=True, tag="event", tag_field="kind"):
    """One line of an export: the canonical bytes as text, and the hash they led to."""

    body: str
    hash: str


class Checkpoint(Struct, frozen=True, tag="checkpoint", tag_field="kind"):
    """A signed statement "the event at `seq` has this hash". `signature` and `public_key` are hex."""

    seq: int
    hash: str
    signature: str
    public_key: str


ExportLine = ExportedEvent | Checkpoint

_decode_body = msgspec.json.Decoder(EventBody).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def canonical(payload: dict[str, Any]) -> msgspec.Raw:
    """Return a payload as it stands in canonical bytes: sorted keys, no white space, UTF-8."""
    return msgspec.Raw(_encode_sorted(payload))


def canonical_bytes(body: EventBody) -> bytes:
    """Return the one encoding of an event that is stored and hashed: sorted keys, no white space, UTF-8."""
    return _encode(body)


def link(prev_hash: str, body: bytes) -> str:
    """Return SHA-256(`prev_hash` as 32 bytes ‖ `body`) in hex."""
    return hashlib.sha256(bytes.fromhex(prev_hash) + body).hexdigest()


def checkpoint_message(seq: int, hash_hex: str) -> bytes:
    """Return the bytes that a checkpoint signs."""
    return f"ironclaw-ledger-checkpoint\n{seq}\n{hash_hex}\n".encode()


class Verification(Struct, frozen=True):
    """The verdict on a chain. `bad_seq` names the first position that was altered, removed or reordered."""

    ok: bool
    events: int
    checkpoints: int
    head_seq: int
    head_hash: str
    bad_seq: int | None = None
    reason: str | None = None


class ChainVerifier:
    """Verifies export lines one by one; memory does not grow with the chain.

    `expected_key` pins the ledger's checkpoint key (hex); without it the first checkpoint's key is pinned.
    """

    def __init__(self, expected_key: str | None = None) -> None:
        self._key = expected_key
        self._seq = 0
        self._hash = GENESIS_HASH
        self._checkpoints = 0
        self._sealed_seq = 0
        self._fault: tuple[int, str] | None = None

    def feed(self, line: ExportLine) -> bool:
        """Take one line; return False from the first fault on."""
        if self._fault is None:
            match line:
                case ExportedEvent():
                    self._event(line)
                case Checkpoint():
                    self._checkpoint(line)
        return self._fault is None

    def fault(self, seq: int, reason: str) -> None:
        """Record a fault found outside the chain, such as a line that does not parse."""
        self._fault = self._fault or (seq, reason)

    @property
    def next_seq(self) -> int:
        """The position that the next event must have."""
        return self._seq + 1

    def result(self, *, sealed: bool = False) -> Verification:
        """Return the verdict.

        A chain must end in a checkpoint of its head; without one a cut tail could not be told from the end.
        `sealed` says that the caller knows the end by other means.
        """
        if self._fault is None and not sealed and self._sealed_seq != self._seq:
            self._fault = (self._seq + 1, "the end is missing: no signed checkpoint of the head")
        return Verification(
            ok=self._fault is None,
            events=self._seq,
            checkpoints=self._checkpoints,
            head_seq=self._seq,
            head_hash=self._hash,
            bad_seq=self._fault[0] if self._fault else None,
            reason=self._fault[1] if self._fault else None,
        )

    def _event(self, line: ExportedEvent) -> None:
        expected = self._seq + 1
        try:
            body = line.body.encode()
            seq = _decode_body(body).seq
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return self.fault(expected, f"not an event: {error}")
        if seq != expected:
            return self.fault(expected, f"found event {seq} where {expected} belongs")
        if link(self._hash, body) != line.hash:
            return self.fault(expected, "the hash does not follow from the event and the one before")
        self._seq, self._hash = seq, line.hash
        return None

    def _checkpoint(self, line: Checkpoint) -> None:
        self._key = self._key or line.public_key
        if line.seq != self._seq or line.hash != self._hash:
            return self.fault(line.seq, "a signed checkpoint disagrees with the chain")
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self._key))
            key.verify(bytes.fromhex(line.signature), checkpoint_message(line.seq, line.hash))
        except (InvalidSignature, ValueError):
            return self.fault(line.seq, "the signature of the checkpoint does not verify")
        self._checkpoints += 1
        self._sealed_seq = line.seq
        return None


def verify_lines(lines: Iterable[bytes], expected_key: str | None = None) -> Verification:
    """Verify an exported ledger, one JSON object a line."""
    decode = msgspec.json.Decoder(ExportLine).decode
    verifier = ChainVerifier(expected_key)
    for raw in lines:
        if not raw.strip():
            continue
        try:
            line = decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            verifier.fault(verifier.next_seq, f"not a line of an export: {error}")
            break
        if not verifier.feed(line):
            break
    return verifier.result()
