"""A grant's token: signed by the vault for itself, it opens the branch of one attempt and nothing else."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from ironclaw_chassis.identity import ALGORITHM
from ironclaw_contracts.errors import Unauthenticated

_AUDIENCE = "vault/git"  # no service's name, so that a grant is no service token, and the other way round
_ISSUER = "vault"


class Scope(Struct, frozen=True):
    """The attempt that a grant is for."""

    theater_id: str
    order_id: str
    attempt: int


class GrantTokens:
    """Signs and verifies grants; every replica of the vault has the same key."""

    def __init__(self, key: Ed25519PrivateKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def issue(self, scope: Scope, seconds: int) -> tuple[str, datetime]:
        """Return a token for an attempt, and when it expires."""
        expires_at = int(self._clock()) + seconds
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "exp": expires_at,
            "theater": scope.theater_id,
            "order": scope.order_id,
            "attempt": scope.attempt,
        }
        token = jwt.encode(claims, self._key, algorithm=ALGORITHM)
        return token, datetime.fromtimestamp(expires_at, UTC)

    def verify(self, token: str) -> Scope:
        """Return what a token opens. Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": ["exp", "aud", "iss", "theater", "order", "attempt"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the grant does not verify: {error}; ask for another") from error
        return Scope(str(claims["theater"]), str(claims["order"]), int(claims["attempt"]))
