"""What the service holds while it runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from appleseed_evolution.http.surface import open_surface
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.endpoints.learning import Tick
from ironclaw_learning.feedback import Feedback
from ironclaw_learning.following import Following
from ironclaw_learning.governance import Governance
from ironclaw_learning.learner import Learner
from ironclaw_learning.outside import OutsideFeedback
from ironclaw_learning.settings import Settings
from ironclaw_learning.skills import Skills
from ironclaw_learning.store import Store


class Parts:
    """The store, the client and the timer, open while the lifespan lasts."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self._parameters = settings.parameters
        self._client = client
        self._ledger = LedgerClient(client)
        self.feedback = Feedback(self._ledger, settings.garrison_id)
        self.appleseed = open_surface(settings.appleseed_folder, api_key=settings.appleseed_key)
        self.skills = Skills(self.appleseed.workspace)
        self._store: Store | None = None
        self._learner: Learner | None = None
        self._outside: OutsideFeedback | None = None

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
            self._learner = Learner(
                Following(self._client, store, self.feedback),
                Governance(self._client, self._ledger, settings.garrison_id),
                self._parameters,
                autopromote=settings.policy_autopromote,
            )

            self._outside = OutsideFeedback(
                self.appleseed.workspace.state, self._ledger, store, self.feedback
            )

            async def on_time() -> None:
                await self.tick()

            try:
                async with background(forever("learning", on_time, settings.tick_seconds)):
                    yield
            finally:
                self._store = self._learner = self._outside = None
                await store.close()

    async def tick(self) -> Tick:
        """Bring in what outside sessions came to, then learn."""
        if self._outside is not None:
            await self._outside.bring()
        return await self.learner.tick()

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        if self._store is not None:
            await self._store.ping()
