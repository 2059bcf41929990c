"""Put a patrol together from its limits; the duty officer and the sentinel each do so in their `app.py`."""

from collections.abc import Iterable

from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.queue import JobQueue
from ironclaw_contracts.enums import Service
from ironclaw_patrol.adoption import Adoption
from ironclaw_patrol.breaker import BreakerLimits
from ironclaw_patrol.breakers import Breakers
from ironclaw_patrol.health import HealthWatch
from ironclaw_patrol.lead import Leadership
from ironclaw_patrol.patrol import Patroller, Watches
from ironclaw_patrol.recovery import Recovery
from ironclaw_patrol.rules import Thresholds
from ironclaw_patrol.runs import RunWatch


class PatrolLimits(Struct, frozen=True):
    """All that can be set about a patrol."""

    thresholds: Thresholds
    breaker: BreakerLimits
    run_still_seconds: int


def assemble(
    client: ServiceClient,
    ledger: LedgerClient,
    queue: JobQueue,
    lead: Leadership,
    limits: PatrolLimits,
    services: Iterable[Service],
    garrison_id: str,
) -> Patroller:
    """Return a patroller that watches these services."""
    escalations = Escalations(ledger, garrison_id)
    health = HealthWatch(client, ledger, escalations, services, garrison_id)
    recovery = Recovery(client, ledger, queue)
    watches = Watches(
        recovery=recovery,
        adoption=Adoption(client, ledger, recovery),
        breakers=Breakers(ledger, health, escalations, limits.breaker),
        health=health,
        runs=RunWatch(client, ledger, escalations, limits.run_still_seconds),
        escalations=escalations,
    )
    return Patroller(client, ledger, lead, watches, limits.thresholds, garrison_id)
