"""The relay's parts, open while the service runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.endpoints.duty_officer_relay import RelayView
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.relay.heartbeats import HeartbeatRelay
from ironclaw_duty_officer.relay.intents import IntentRelay
from ironclaw_duty_officer.relay.session import ValidatorSession
from ironclaw_duty_officer.relay.store import IntentOutbox
from ironclaw_duty_officer.settings import Settings

_PAUSE_SECONDS = 0.05


class Relay:
    """Session, heartbeats and intents. The outbox needs the database, heartbeats do not."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self._session = ValidatorSession(client, Addresses(settings).url(Service.OPENCLAWDBOT))
        self._outbox: IntentOutbox | None = None
        self._intents: IntentRelay | None = None
        self.heartbeats = HeartbeatRelay(self._session)

    @property
    def intents(self) -> IntentRelay:
        """The intents' half. Raises RuntimeError outside the lifespan."""
        if self._intents is None:
            raise RuntimeError("the service is not running")
        return self._intents

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Relay for as long as the context is open."""
        settings = self._settings
        self._outbox = outbox = await IntentOutbox.open(settings.database_url.reveal(), settings.pool_size)
        self._intents = intents = IntentRelay(self._session, outbox)
        try:
            async with background(
                forever("session with the validator", self._session.run, _PAUSE_SECONDS),
                forever("heartbeats to the validator", self.heartbeats.deliver, _PAUSE_SECONDS),
                forever("intents to the validator", intents.deliver, _PAUSE_SECONDS),
            ):
                yield
        finally:
            self._outbox = self._intents = None
            await outbox.close()

    async def view(self) -> RelayView:
        """Return how the relay stands."""
        return RelayView(
            connected=self._session.connected.is_set(),
            validator_id=self._session.validator_id,
            fault=self._session.fault,
            intents_waiting=await self.intents.count_waiting(),
            heartbeats_waiting=self.heartbeats.waiting,
        )

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        if self._outbox is not None:
            await self._outbox.ping()
