"""Take the duty officer's place while it is dead: the same patrol, under the same lead (seed 3.9)."""

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.health import readiness_endpoint
from ironclaw_patrol.lead import Leadership
from ironclaw_patrol.patrol import Patroller

log = structlog.get_logger()


class Failover:
    """Patrols from the audit that finds no duty officer until one is ready again."""

    def __init__(self, client: ServiceClient, lead: Leadership, patroller: Patroller) -> None:
        self._client = client
        self._lead = lead
        self._patroller = patroller
        self.is_active = False

    async def decide(self, duty_officer_dead: bool) -> None:
        """Take over when nobody patrols and the lead is free; give back once the duty officer is ready."""
        if self.is_active:
            if await self._duty_officer_ready():
                self.is_active = False
                await self._lead.release()
                log.info("failover ends: the duty officer is back")
        elif duty_officer_dead and await self._lead.take():
            self.is_active = True
            log.warning("failover begins: the sentinel patrols")

    async def keep_lead(self) -> None:
        """Renew the lead while active."""
        if self.is_active and not await self._lead.take():
            self.is_active = False

    async def patrol(self) -> None:
        """Run one patrol while active."""
        if self.is_active:
            await self._patroller.patrol()

    async def watch(self) -> None:
        """Let the breakers turn between two patrols while active."""
        if self.is_active:
            await self._patroller.sweep()

    async def _duty_officer_ready(self) -> bool:
        try:
            await self._client.call(readiness_endpoint(Service.DUTY_OFFICER))
        except Problem:
            return False
        return True
