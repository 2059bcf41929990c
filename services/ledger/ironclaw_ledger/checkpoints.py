"""Signed checkpoints: every so many events, and on demand to seal an export."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.chain import Checkpoint, checkpoint_message
from ironclaw_contracts.events import Event


class CheckpointSigner:
    """Signs with the ledger's own key; `every` is the distance in events."""

    def __init__(self, key: Ed25519PrivateKey, every: int) -> None:
        self._key = key
        self._every = every
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public_key = raw.hex()

    def sign(self, seq: int, hash_hex: str) -> Checkpoint:
        """Return a signed statement that the event at `seq` has this hash."""
        signature = self._key.sign(checkpoint_message(seq, hash_hex)).hex()
        return Checkpoint(seq=seq, hash=hash_hex, signature=signature, public_key=self.public_key)

    def sign_bytes(self, message: bytes) -> str:
        """Return the signature over a statement, in hex; what it says must begin with its own name."""
        return self._key.sign(message).hex()

    def due(self, events: list[Event]) -> list[Checkpoint]:
        """Return the checkpoints that fall on these events."""
        return [self.sign(event.seq, event.hash) for event in events if event.seq % self._every == 0]
