"""The mission receipt: one file that proves a run offline. One JSON object a line, in this order.

`ironclaw_fleet/verify_receipt.py` reads it with nothing but the standard library and an Ed25519 verifier;
docs/receipts.md describes it for whoever writes another.
"""

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec import Struct

FORMAT = "ironclaw-receipt/1"


class Statement(Struct, frozen=True, tag="receipt", tag_field="kind", kw_only=True):
    """The ledger's word: these seqs are the run's events, in a tree of this size with this root.

    `head_hash` is the chain's hash at `size`. `public_key` and `signature` are hex; what is signed is
    `statement_message`.
    """

    format: str
    run_id: str
    size: int
    root: str
    head_hash: str
    seqs: list[int]
    at: str
    public_key: str
    signature: str


class ProvenEvent(Struct, frozen=True, tag="event", tag_field="kind"):
    """An event: its canonical bytes as text, the hash before it and its own."""

    seq: int
    body: str
    prev_hash: str
    hash: str


class Inclusion(Struct, frozen=True, tag="inclusion", tag_field="kind"):
    """The proof that the events' hashes are leaves of the tree (`merkle.prove`), in hex."""

    nodes: list[str]


class GitObject(Struct, frozen=True, tag="object", tag_field="kind"):
    """A commit, tree or blob as git stores it; its id is the SHA-1 of `type size NUL data`."""

    id: str
    type: str
    data: bytes


class ProvenIntent(Struct, frozen=True, tag="intent", tag_field="kind", kw_only=True):
    """An announced intent and the validator's ACK, each as the canonical text that was signed."""

    intent: str
    public_key_ref: str
    signature: str
    ack: str
    validator_id: str
    ack_signature: str


class Seal(Struct, frozen=True, tag="seal", tag_field="kind"):
    """The SHA-256 of every line before, so that a damaged one is known, and that of their list."""

    lines: list[str]
    sha256: str


Part = Statement | ProvenEvent | Inclusion | GitObject | ProvenIntent


def statement_message(
    run_id: str, size: int, root: str, head_hash: str, seqs: Iterable[int], at: str
) -> bytes:
    """Return the bytes that the ledger signs."""
    listed = ",".join(map(str, seqs))
    return f"ironclaw-receipt\n{run_id}\n{size}\n{root}\n{head_hash}\n{listed}\n{at}\n".encode()


def encode(parts: Iterable[Part]) -> bytes:
    """Return the file: a line for each part, and the seal."""
    lines = [msgspec.json.encode(part) for part in parts]
    digests = [hashlib.sha256(line).hexdigest() for line in lines]
    seal = Seal(digests, hashlib.sha256("\n".join(digests).encode()).hexdigest())
    return b"".join(line + b"\n" for line in [*lines, msgspec.json.encode(seal)])
