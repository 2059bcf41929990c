"""API keys: how a secret is made, taken apart and compared. Pure but for the randomness it is given.

A secret reads `ick_<key id>_<random>`. The random part has 256 bits, so one round of SHA-256 keeps it.
"""

import hashlib
import hmac
import re

from msgspec import Struct

from ironclaw_contracts.errors import Unauthenticated

_SECRET = re.compile(r"\Aick_([A-Za-z0-9]{4,32})_([A-Za-z0-9_-]{43})\Z")


class Secret(Struct, frozen=True):
    """The parts of a key's secret, and the digest that is stored."""

    key_id: str
    text: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole secret."""
        return hashlib.sha256(self.text.encode()).digest()

    def fits(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, digest)


def make_secret(key_id: str, randomness: str) -> Secret:
    """Return a new secret; `randomness` is 32 random bytes in base64url."""
    return parse_secret(f"ick_{key_id}_{randomness}")


def parse_secret(text: str) -> Secret:
    """Take a secret apart. Raises `Unauthenticated` when it is not shaped like one."""
    match = _SECRET.match(text)
    if match is None:
        raise Unauthenticated("the API key is malformed: it reads ick_<id>_<secret>")
    return Secret(key_id=match[1], text=text)
