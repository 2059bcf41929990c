"""Who calls: the caller that an endpoint's declaration is checked against."""

from typing import Protocol

from msgspec import Struct

from ironclaw_chassis.identity import TokenVerifier
from ironclaw_contracts.endpoint import Caller
from ironclaw_contracts.errors import Unauthenticated
from ironclaw_contracts.spending import SpendingKey


class CallerIdentity(Struct, frozen=True):
    """A caller: what it may do (`kind`: a service or a role) and what to call it in records (`name`).

    `charged_to` is the API key of a person or program, which pays for what it asks for.
    """

    kind: Caller
    name: str
    charged_to: SpendingKey | None = None


class Authenticator(Protocol):
    """Turns credentials into a caller."""

    async def authenticate(self, authorization: str | None) -> CallerIdentity:
        """Return the caller for an `Authorization` header. Raises `Unauthenticated`."""
        ...


def bearer(authorization: str | None) -> str:
    """Return the token of an `Authorization: Bearer` header. Raises `Unauthenticated`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("no credentials: send an 'Authorization: Bearer ...' header")
    return token.strip()


class ServiceAuthenticator:
    """Accepts the tokens of the fleet's services."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, authorization: str | None) -> CallerIdentity:
        """Return the service that signed the token."""
        service = self._verifier.verify(bearer(authorization))
        return CallerIdentity(kind=service, name=service.value)
