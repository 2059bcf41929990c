"""The signature of the milestone and demand channels: HMAC-SHA256 over the canonical body, in hex."""

import hashlib
import hmac
from collections.abc import Iterable

from ironclaw_contracts.canonical import Value, ecmascript

SIGNATURE_HEADER = "x-openclaw-signature"
TIMESTAMP_HEADER = "x-openclaw-timestamp"


def split_secrets(text: str) -> list[str]:
    """Return the secrets of a comma-separated list: the first, the newest, signs; any of them verifies."""
    return [part.strip() for part in text.split(",") if part.strip()]


def sign(secret: str, body: Value) -> str:
    """Return the signature of a parsed body, in lower-case hex. The key is the secret's UTF-8 bytes."""
    return hmac.new(secret.encode("utf-8"), ecmascript(body), hashlib.sha256).hexdigest()


def is_signed(signature: str, body: Value, secrets: Iterable[str]) -> bool:
    """Tell whether any of the secrets made this signature. Every one is tried, in constant time."""
    given = signature.strip().lower().encode("utf-8", "replace")
    canonical = ecmascript(body)
    matches = [
        hmac.compare_digest(
            hmac.new(secret.encode("utf-8"), canonical, hashlib.sha256).hexdigest().encode(), given
        )
        for secret in secrets
    ]
    return any(matches)
