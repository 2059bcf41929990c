"""Hold what failed for a cause that is not its own fault, probe, and let it go on."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.duty_officer import Intervention
from ironclaw_contracts.enums import Cause, Severity
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_patrol.breaker import Breaker, BreakerLimits, Turn, turn
from ironclaw_patrol.health import HealthWatch
from ironclaw_patrol.rules import Held, Reissue

log = structlog.get_logger()

_MEND = {
    Cause.PROVIDER_DOWN: "the model provider does not answer; orders resume by themselves when it does",
    Cause.QUOTA: "the model provider limits us; orders resume by themselves, or raise the quota",
    Cause.AUTH: "the model provider refuses our key; set IOINTELLIGENCE_API_KEY and restart the fleet",
    Cause.DISK: "a worker cannot write; free some space, orders resume by themselves",
    Cause.POLICY: "a policy refuses the work; change the policy, orders resume by themselves",
}


class Breakers:
    """One breaker for each cause; what they know beyond the ledger is lost with the process, harmlessly."""

    def __init__(
        self,
        ledger: LedgerClient,
        health: HealthWatch,
        escalations: Escalations,
        limits: BreakerLimits,
    ) -> None:
        self._ledger = ledger
        self._health = health
        self._escalations = escalations
        self._limits = limits
        self._breakers: dict[Cause, Breaker] = {}
        self._lock = asyncio.Lock()

    @property
    def open_causes(self) -> list[Cause]:
        """The causes whose breaker is not closed."""
        return sorted(self._breakers)

    async def look(
        self,
        held: list[Held],
        now: datetime,
        reissue: Callable[[Reissue], Awaitable[Intervention]],
    ) -> list[Intervention]:
        """Let every breaker turn; `held` are all orders that wait behind one now."""
        async with self._lock:
            by_cause: defaultdict[Cause, list[OrderSnapshot]] = defaultdict(list)
            for item in held:
                by_cause[item.cause].append(item.order)
            interventions: list[Intervention] = []
            for cause in sorted(by_cause.keys() | self._breakers.keys()):
                breaker = self._breakers.get(cause)
                turned = turn(breaker, cause, by_cause[cause], await self._probe(breaker), now, self._limits)
                await self._tell(cause, turned, by_cause[cause], breaker)
                if turned.breaker is None:
                    self._breakers.pop(cause, None)
                else:
                    self._breakers[cause] = turned.breaker
                for order in turned.release:
                    last = order.history[-1]
                    reason = f"{cause}: {last.reason}"[:2000]
                    interventions.append(await reissue(Reissue(order, "failed", cause, reason, last.ts)))
            return interventions

    async def _probe(self, breaker: Breaker | None) -> OrderSnapshot | None:
        if breaker is None or breaker.probe is None:
            return None
        try:
            return (await self._ledger.order(breaker.probe)).order
        except NotFound:
            return None

    async def _tell(
        self, cause: Cause, turned: Turn, held: list[OrderSnapshot], before: Breaker | None
    ) -> None:
        if turned.degraded:
            reason = held[0].history[-1].reason if held and held[0].history else _MEND[cause]
            began = turned.breaker.opened_at.isoformat() if turned.opened and turned.breaker else None
            event_id = derived_event_id("breaker", cause, began) if began is not None else None
            await self._health.tell(EventType.SERVICE_DEGRADED, str(cause), reason, event_id=event_id)
        if turned.recovered:
            since = before.opened_at.isoformat() if before is not None else "a while ago"
            await self._health.tell(EventType.SERVICE_RECOVERED, str(cause), f"degraded since {since}")
        if turned.opened and turned.breaker is not None:
            await self._escalations.raise_once(
                Severity.HIGH,
                f"cause:{cause}",
                _MEND[cause],
                episode=turned.breaker.opened_at,
                evidence={"orders_held": len(held), "first_order": held[0].order_id if held else None},
            )
