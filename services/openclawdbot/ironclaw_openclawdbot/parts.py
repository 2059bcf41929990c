"""What the service holds while it runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.milestones import Milestone
from ironclaw_openclawdbot.gathering import Gathering
from ironclaw_openclawdbot.settings import Settings
from ironclaw_openclawdbot.store import Store


class Parts:
    """The store and the client, open while the lifespan lasts."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self.client = client
        self._store: Store | None = None
        self.milestones = Gathering[tuple[str, Milestone], tuple[bool, str]](self._accept)

    @property
    def store(self) -> Store:
        """The store. Raises RuntimeError outside the lifespan."""
        if self._store is None:
            raise RuntimeError("the service is not running")
        return self._store

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold the pool and the client for as long as the context is open."""
        async with self.client:
            self._store = await Store.open(self._settings.database_url.reveal(), self._settings.pool_size)
            try:
                async with self.milestones.running():
                    yield
            finally:
                await self._store.close()
                self._store = None

    async def _accept(self, records: list[tuple[str, Milestone]]) -> list[tuple[bool, str]]:
        return await self.store.accept_milestones(records)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        await self.store.ping()
