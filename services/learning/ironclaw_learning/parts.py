"""What the service holds while it runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_learning.feedback import Feedback
from ironclaw_learning.following import Following
from ironclaw_learning.governance import Governance
from ironclaw_learning.learner import Learner
from ironclaw_learning.settings import Settings
from ironclaw_learning.store import Store


class Parts:
    """The store, the client and the timer, open while the lifespan lasts."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self._parameters = settings.parameters
        self._client = client
        self._ledger = LedgerClient(client)
        self.feedback = Feedback(self._ledger, settings.garrison_id)
        self._store: Store | None = None
        self._learner: Learner | None = None

    @property
    def learner(self) -> Learner:
        """What learns. Raises RuntimeError outside the lifespan."""
        if self._learner is None:
            raise RuntimeError("the service is not running")
        return self._learner

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Learn on a timer for as long as the context is open."""
        settings = self._settings
        async with self._client:
            store = self._store = await Store.open(settings.database_url.reveal(), settings.pool_size)
            learner = self._learner = Learner(
                Following(self._client, store, self.feedback),
                Governance(self._client, self._ledger, settings.garrison_id),
                self._parameters,
                autopromote=settings.policy_autopromote,
            )

            async def tick() -> None:
                await learner.tick()

            try:
                async with background(forever("learning", tick, settings.tick_seconds)):
                    yield
            finally:
                self._store = self._learner = None
                await store.close()

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        if self._store is not None:
            await self._store.ping()
