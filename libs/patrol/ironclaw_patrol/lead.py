"""The lead of the patrol: one process at a time acts, however many there are (a lease in the ledger)."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.errors import LeaseLive, Problem
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import PATROL_LEAD

log = structlog.get_logger()


class Leadership:
    """Takes and keeps the lead. `holder` names this process."""

    def __init__(self, client: ServiceClient, seconds: int) -> None:
        self.holder = new_id()
        self.leader = ""
        self._client = client
        self._seconds = seconds
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this process leads, with a margin for a clock that runs apart from the ledger's."""
        return time.monotonic() < self._until

    async def take(self) -> bool:
        """Take or keep the lead. Without an answer of the ledger it lapses by itself."""
        asked = time.monotonic()
        try:
            claim = api.LeadClaim(holder=self.holder, seconds=self._seconds)
            await self._client.call(api.TAKE_LEAD, claim, lead_id=PATROL_LEAD)
        except LeaseLive as error:
            self._lose(error.message)
            return False
        except Problem as error:
            log.warning("the lead of the patrol was not renewed", reason=error.message)
            return self.is_held
        if not self.is_held:
            log.info("leading the patrol", holder=self.holder)
        self.leader = "this process"
        self._until = asked + self._seconds * 0.8
        return True

    async def release(self) -> None:
        """Give the lead up, so that the next one need not wait for it to run out."""
        if not self.is_held:
            return
        self._until = 0.0
        try:
            await self._client.call(
                api.RELEASE_LEAD, query=api.LeadQuery(holder=self.holder), lead_id=PATROL_LEAD
            )
        except Problem as error:
            log.info("the lead of the patrol runs out by itself", reason=error.message)

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Try for the lead and keep it for as long as the context is open."""

        async def step() -> None:
            await self.take()

        try:
            async with background(forever("lead", step, self._seconds / 3)):
                yield
        finally:
            await self.release()

    def _lose(self, who: str) -> None:
        if self.is_held:
            log.warning("no longer leading the patrol", reason=who)
        self._until = 0.0
        self.leader = who
