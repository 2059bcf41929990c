"""Sessions: an API key, shown once at sign-in, becomes a cookie; what forms carry is derived from it."""

import hashlib
import hmac
import secrets
from datetime import timedelta

from msgspec import Struct

from ironclaw_api_gateway.people import People
from ironclaw_api_gateway.store import Store
from ironclaw_chassis.authentication import CallerIdentity
from ironclaw_contracts.access import ApiKey
from ironclaw_contracts.enums import Role
from ironclaw_contracts.errors import Forbidden, Unauthenticated

LIFETIME = timedelta(hours=12)
_FORM_PURPOSE = b"ironclaw console form"


class SignInNeeded(Unauthenticated):
    """There is no session, or it has ended; the browser is sent to the sign-in page."""


class Visitor(Struct, frozen=True):
    """Who looks at the console. `token` is what this session's forms carry."""

    key: ApiKey
    token: str

    @property
    def caller(self) -> CallerIdentity:
        """Who asks the fleet: the key."""
        return People.caller(self.key)

    @property
    def operator(self) -> bool:
        """Whether the key may operate the fleet."""
        return self.key.role is Role.OPERATOR


class Sessions:
    """Opens, checks and closes sessions. The database keeps digests only."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people

    async def open(self, secret: str) -> str:
        """Return the cookie of a new session. Raises `Unauthenticated` when the key is not known."""
        key = (await self._people.checked(secret.strip())).key
        cookie = secrets.token_urlsafe(32)
        await self._store.open_session(_digest(cookie), key.key_id, LIFETIME)
        return cookie

    async def visitor(self, cookie: str) -> Visitor:
        """Return who a cookie belongs to. Raises `SignInNeeded`."""
        key = await self._store.session_key(_digest(cookie)) if cookie else None
        if key is None:
            raise SignInNeeded("sign in with an API key")
        return Visitor(key, form_token(cookie))

    async def counted(self, cookie: str) -> Visitor:
        """Return who a cookie belongs to, and take a token of the key's rate limit.

        Raises `SignInNeeded`, `RateLimited` or `Unavailable`.
        """
        visitor = await self.visitor(cookie)
        await self._people.take(visitor.key)
        return visitor

    async def close(self, cookie: str) -> None:
        """End a session."""
        await self._store.close_session(_digest(cookie))


def form_token(cookie: str) -> str:
    """Return what a session's forms carry: only who holds the cookie can make it."""
    return hmac.new(cookie.encode(), _FORM_PURPOSE, hashlib.sha256).hexdigest()


def check_form_token(given: str, wanted: str) -> None:
    """Raise `Forbidden` unless a form carries its session's token."""
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Forbidden("the form is out of date or not ours: reload the page and send it again")


def _digest(cookie: str) -> bytes:
    """Return what is stored of a cookie: it has 256 random bits, so one round of SHA-256 keeps it."""
    return hashlib.sha256(cookie.encode()).digest()
