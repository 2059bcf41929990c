"""One patrol: look at every order that someone should be moving, and intervene where nobody does."""

from collections import Counter
from datetime import UTC, datetime

import structlog

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.duty_officer import Intervention, Patrol
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import PatrolTick
from ironclaw_duty_officer.recovery import Recovery
from ironclaw_duty_officer.rules import WATCHED_PHASES, Thresholds, decide

log = structlog.get_logger()


class Patroller:
    """Runs patrols over the whole fleet."""

    def __init__(
        self, ledger: LedgerClient, recovery: Recovery, limits: Thresholds, garrison_id: str
    ) -> None:
        self._ledger = ledger
        self._recovery = recovery
        self._limits = limits
        self._garrison_id = garrison_id

    async def look_at(self, order_id: str) -> Intervention | None:
        """Intervene in one order if a rule says so."""
        view = await self._ledger.order(order_id)
        decision = decide(view.order, view.lease, datetime.now(UTC), self._limits)
        return None if decision is None else await self._recovery.carry_out(decision)

    async def patrol(self) -> Patrol:
        """Look at every watched order, intervene, and record the tick with its figures."""
        phases: Counter[str] = Counter()
        interventions: list[Intervention] = []
        failures = 0
        async for order, lease in self._ledger.orders_in(sorted(WATCHED_PHASES)):
            phases[f"orders_{order.phase.lower()}"] += 1
            decision = decide(order, lease, datetime.now(UTC), self._limits)
            if decision is None:
                continue
            try:
                interventions.append(await self._recovery.carry_out(decision))
            except Problem as error:
                failures += 1
                log.warning("intervention failed", order_id=order.order_id, reason=error.message)
        figures: dict[str, int | float] = {
            **phases,
            "interventions": len(interventions),
            "failed_interventions": failures,
        }
        await self._ledger.append(
            new_event(EventType.PATROL_TICK, PatrolTick(figures=figures), garrison_id=self._garrison_id)
        )
        return Patrol(figures=figures, interventions=interventions)
