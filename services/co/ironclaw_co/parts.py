"""The outbox and its loops, open while the service runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ironclaw_chassis.client import Addresses
from ironclaw_chassis.emitter import Emitter
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_chassis.signing import SigningSecrets
from ironclaw_co.outbox.emitting import Emitting
from ironclaw_co.outbox.publishing import Publishing
from ironclaw_co.settings import Settings
from ironclaw_co.store import Outbox
from ironclaw_contracts.enums import Service

_COUNT_SECONDS = 5.0
_TIDY_SECONDS = 3_600.0
_RETRY_SECONDS = 0.05


class Parts:
    """What the service holds beside its client and queue."""

    def __init__(self, settings: Settings, ledger: LedgerClient) -> None:
        self._settings = settings
        self._ledger = ledger
        self._outbox: Outbox | None = None
        self._publishing: Publishing | None = None

    @property
    def publishing(self) -> Publishing:
        """What operators do with the outbox. Raises RuntimeError outside the lifespan."""
        if self._publishing is None:
            raise RuntimeError("the service is not running")
        return self._publishing

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Run the outbox for as long as the context is open."""
        settings = self._settings
        outbox = await Outbox.open(settings.database_url.reveal(), settings.pool_size)
        secrets = SigningSecrets(settings.signing_secret, settings.signing_secret_file)
        async with Emitter(Addresses(settings).url(Service.OPENCLAWDBOT)) as emitter:
            emitting = Emitting(self._ledger, outbox, emitter, secrets, settings.garrison_id)
            self._outbox, self._publishing = outbox, Publishing(outbox, emitting)
            try:
                async with background(
                    forever("milestones", emitting.tell, 1.0),
                    forever("demand", emitting.count, _COUNT_SECONDS),
                    forever("outbox", emitting.deliver, _RETRY_SECONDS),
                    forever("outbox retention", emitting.tidy, _TIDY_SECONDS),
                ):
                    yield
            finally:
                self._outbox = self._publishing = None
                await outbox.close()

    async def undelivered(self) -> int:
        """Return how many records wait to be delivered."""
        return await self._outbox.undelivered() if self._outbox is not None else 0

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        if self._outbox is not None:
            await self._outbox.ping()
