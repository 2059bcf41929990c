"""Who calls the gateway: people and programs by their API keys."""

import asyncio
import secrets
import time
from pathlib import Path

from ironclaw_api_gateway.keys import make_secret, parse_secret
from ironclaw_api_gateway.limits import RateLimiter
from ironclaw_api_gateway.store import Store, StoredKey
from ironclaw_chassis.authentication import CallerIdentity, bearer
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.access import ApiKey, ApiKeys, KeyRequest, NewKey
from ironclaw_contracts.enums import Role
from ironclaw_contracts.errors import NotFound, Unauthenticated
from ironclaw_contracts.spending import SpendingKey

_CACHED_MAX = 4_096
_BOOTSTRAP_NAME = "operator"
_BOOTSTRAP_RATE = 60_000
_BOOTSTRAP_VARIABLE = "IRONCLAW_API_GATEWAY_BOOTSTRAP_KEY_FILE"


class People:
    """Keeps keys and checks them. A revoked key is refused once its cache entry is out of date."""

    def __init__(self, store: Store, limiter: RateLimiter, cache_seconds: float) -> None:
        self._store = store
        self._limiter = limiter
        self._cache_seconds = cache_seconds
        self._cache: dict[str, tuple[float, StoredKey]] = {}

    async def authenticate(self, authorization: str | None) -> CallerIdentity:
        """Return the caller for a key. Raises `Unauthenticated`, `RateLimited`, or `Unavailable`."""
        stored = await self.checked(bearer(authorization))
        await self.take(stored.key)
        return self.caller(stored.key)

    async def checked(self, text: str) -> StoredKey:
        """Return the key whose secret this is. Raises `Unauthenticated`."""
        secret = parse_secret(text)
        stored = await self._stored(secret.key_id)
        # The comparison runs for an unknown id too, so that its time tells nothing.
        fits = secret.fits(stored.digest if stored else b"\0" * 32)
        if stored is None or not fits or stored.key.revoked_at is not None:
            raise Unauthenticated("the API key is unknown or revoked; make one with: ironclaw keys create")
        return stored

    async def take(self, key: ApiKey) -> None:
        """Take a token of the key's rate limit. Raises `RateLimited` or `Unavailable`."""
        await self._limiter.take(key.key_id, key.rate_per_minute, key.burst)

    @staticmethod
    def caller(key: ApiKey) -> CallerIdentity:
        """Return who calls with a key; the key pays for what is asked with it."""
        return CallerIdentity(kind=key.role, name=key.name, charged_to=SpendingKey(key.key_id, key.spend))

    async def create(self, request: KeyRequest) -> NewKey:
        """Make a key; its secret is in the answer and nowhere else."""
        secret = make_secret(secrets.token_hex(6), secrets.token_urlsafe(32))
        key = await self._store.put(secret.key_id, request, secret.digest)
        return NewKey(key=key, secret=secret.text)

    async def listed(self) -> ApiKeys:
        """Return all keys, without secrets."""
        return ApiKeys(keys=await self._store.listed())

    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key. Raises `NotFound`."""
        key = await self._store.revoke(key_id)
        self._cache.pop(key_id, None)
        if key is None:
            raise NotFound(f"there is no key {key_id!r}")
        return key

    async def bootstrap(self, path: Path) -> None:
        """Store the operator's key whose secret the file holds. Raises `SettingsError` when it holds none."""
        try:
            secret = parse_secret((await asyncio.to_thread(path.read_text, encoding="utf-8")).strip())
        except (OSError, UnicodeDecodeError, Unauthenticated) as error:
            raise SettingsError(f"{_BOOTSTRAP_VARIABLE}: {path}: {error}") from error
        request = KeyRequest(
            name=_BOOTSTRAP_NAME, role=Role.OPERATOR, rate_per_minute=_BOOTSTRAP_RATE, burst=_BOOTSTRAP_RATE
        )
        await self._store.put(secret.key_id, request, secret.digest)

    async def _stored(self, key_id: str) -> StoredKey | None:
        asked = time.monotonic()  # before the database answers: a revocation meanwhile must count in time
        fresh_until, cached = self._cache.get(key_id, (0.0, None))
        if cached is not None and asked < fresh_until:
            return cached
        stored = await self._store.get(key_id)
        if stored is not None:
            if len(self._cache) >= _CACHED_MAX:
                self._cache.clear()
            self._cache[key_id] = (asked + self._cache_seconds, stored)
        return stored
