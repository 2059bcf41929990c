"""The gateway's parts, opened with the application."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ironclaw_api_gateway.console.pulse import Pulse
from ironclaw_api_gateway.console.sessions import Sessions
from ironclaw_api_gateway.endings import Endings
from ironclaw_api_gateway.limits import RateLimiter
from ironclaw_api_gateway.people import People
from ironclaw_api_gateway.settings import Settings
from ironclaw_api_gateway.store import Store
from ironclaw_chassis.authentication import CallerIdentity
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.reconciler import background, forever

_PAUSE_SECONDS = 0.5


class Gateway:
    """Keys, limits and waiters of one replica; also the authenticator of its routes."""

    people: People
    sessions: Sessions

    def __init__(self, settings: Settings, client: ServiceClient, endings: Endings, pulse: Pulse) -> None:
        self._settings = settings
        self._client = client
        self._endings = endings
        self._pulse = pulse
        self._limiter = RateLimiter(settings.redis_url.reveal())
        self._store: Store | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Open database, limiter and client while the context is open."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            self._store = store = await Store.open(settings.database_url.reveal(), settings.pool_size)
            stack.push_async_callback(store.close)
            stack.push_async_callback(self._limiter.aclose)
            self.people = People(store, self._limiter, settings.key_cache_seconds)
            self.sessions = Sessions(store, self.people)
            if settings.bootstrap_key_file:
                await self.people.bootstrap(Path(settings.bootstrap_key_file))
            await stack.enter_async_context(self._client)
            await stack.enter_async_context(
                background(forever("endings", self._endings.follow, _PAUSE_SECONDS))
            )
            await stack.enter_async_context(background(forever("pulse", self._pulse.follow, _PAUSE_SECONDS)))
            yield

    async def authenticate(self, authorization: str | None) -> CallerIdentity:
        """Return the caller for a key."""
        return await self.people.authenticate(authorization)

    async def ping_database(self) -> None:
        """Raise `Unavailable` when the database is away."""
        if self._store is not None:
            await self._store.ping()

    async def ping_limiter(self) -> None:
        """Raise `Unavailable` when Valkey is away."""
        await self._limiter.ping()
