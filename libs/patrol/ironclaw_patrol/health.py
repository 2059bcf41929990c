"""The health of what the fleet stands on: one event a change, one escalation an outage that lasts."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from msgspec import Struct
from msgspec.structs import replace

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.enums import Service, Severity
from ironclaw_contracts.errors import EventConflict, Problem
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.health import readiness_endpoint
from ironclaw_contracts.payloads import ServiceHealth

log = structlog.get_logger()

_PROBE_SECONDS = 3.0
_FAILURES_SUSPECT = 2
_LASTING = timedelta(seconds=60)


class Standing(Struct, frozen=True):
    """What is known of a service. `failures` in a row; one failed probe is no proof."""

    failures: int = 0
    degraded_since: datetime | None = None


class Change(Struct, frozen=True):
    """What a probe changed: `kind` is the event to append, if any."""

    standing: Standing
    kind: EventType | None


def judge(standing: Standing, fault: str | None, now: datetime) -> Change:
    """Return the standing after a probe that found a fault, or none. Pure."""
    if fault is None:
        recovered = EventType.SERVICE_RECOVERED if standing.degraded_since is not None else None
        return Change(Standing(), recovered)
    failures = standing.failures + 1
    if standing.degraded_since is None and failures >= _FAILURES_SUSPECT:
        return Change(Standing(failures, now), EventType.SERVICE_DEGRADED)
    return Change(replace(standing, failures=failures), None)


class HealthWatch:
    """Probes every service's readiness."""

    def __init__(
        self,
        client: ServiceClient,
        ledger: LedgerClient,
        escalations: Escalations,
        services: Iterable[Service],
        garrison_id: str,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._escalations = escalations
        self._garrison_id = garrison_id
        self._standing = {service: Standing() for service in services}
        self._known = False

    async def look(self, now: datetime) -> list[Service]:
        """Probe every service, record the changes, and return those that are degraded."""
        if not self._known:
            await self._recall()
        services = list(self._standing)
        faults = await asyncio.gather(*(self._fault(service) for service in services))
        for service, fault in zip(services, faults, strict=True):
            change = judge(self._standing[service], fault, now)
            if change.kind is not None:
                await self.tell(change.kind, service.value, fault or "ready again")
            self._standing[service] = change.standing
            since = change.standing.degraded_since
            if since is not None and now - since > _LASTING:
                await self._escalations.raise_once(
                    Severity.HIGH,
                    f"service:{service}",
                    f"{service} has not been ready since {since.isoformat()}: {fault}",
                    episode=since,
                )
        return [s for s, standing in self._standing.items() if standing.degraded_since is not None]

    async def tell(self, kind: EventType, service: str, reason: str, *, event_id: str | None = None) -> None:
        """Record that a service, or what it stands on, degraded or recovered."""
        health = ServiceHealth(service=service, reason=reason[:2000])
        event = new_event(kind, health, garrison_id=self._garrison_id, event_id=event_id)
        try:
            await self._ledger.append(event)
        except EventConflict:
            return  # told by the process that led before
        log.info("health changed", subject=service, kind=kind, reason=reason)

    async def _fault(self, service: Service) -> str | None:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._client.call(readiness_endpoint(service))
        except (Problem, TimeoutError) as error:
            return str(error) or "no answer in time"
        return None

    async def _recall(self) -> None:
        """Learn from the ledger what was degraded when another process led, so that nothing is told twice."""
        types = [EventType.SERVICE_DEGRADED, EventType.SERVICE_RECOVERED]
        async for event in self._ledger.events(types):
            name = event.payload.get("service")
            if name in set(Service) and Service(name) in self._standing:
                since = event.ts if event.type is EventType.SERVICE_DEGRADED else None
                self._standing[Service(name)] = Standing(_FAILURES_SUSPECT if since else 0, since)
        self._known = True
