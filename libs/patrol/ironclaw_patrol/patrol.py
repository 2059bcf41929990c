"""One patrol: look at every order that someone should be moving, and intervene where nobody does."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import observer, vault
from ironclaw_contracts.endpoints.duty_officer import Intervention, Patrol
from ironclaw_contracts.enums import Cause, OrderPhase, Severity
from ironclaw_contracts.errors import Conflict, Problem, Unavailable
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import PatrolTick
from ironclaw_contracts.snapshots import Lease, OrderSnapshot
from ironclaw_contracts.transitions import OPEN_PHASES
from ironclaw_patrol.adoption import Adoption
from ironclaw_patrol.breakers import Breakers
from ironclaw_patrol.health import HealthWatch
from ironclaw_patrol.lead import Leadership
from ironclaw_patrol.metrics import BREAKERS_OPEN, PATROL_SECONDS, PATROL_TICK
from ironclaw_patrol.recovery import Recovery
from ironclaw_patrol.rules import (
    Decision,
    Enqueue,
    GiveUp,
    Held,
    Reissue,
    Suspect,
    Thresholds,
    by_operator,
    decide,
    is_silent,
    losses,
)
from ironclaw_patrol.runs import RunWatch
from ironclaw_patrol.suspicion import Suspicion

log = structlog.get_logger()

_BLIND_SECONDS = 30.0
_THEATERS_AT_ONCE = 4
_LOSSES_ESCALATED = 3


class Watches(Struct, frozen=True):
    """What a patrol looks with."""

    recovery: Recovery
    adoption: Adoption
    breakers: Breakers
    health: HealthWatch
    runs: RunWatch
    escalations: Escalations


class Patroller:
    """Runs patrols over the whole fleet, as long as it leads."""

    def __init__(
        self,
        client: ServiceClient,
        ledger: LedgerClient,
        lead: Leadership,
        watches: Watches,
        limits: Thresholds,
        garrison_id: str,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._lead = lead
        self._to = watches
        self._limits = limits
        self._garrison_id = garrison_id
        self._suspicion = Suspicion()

    async def look_at(self, order_id: str) -> Intervention | None:
        """Intervene in one order if a rule says so; what breakers hold waits for the next sweep."""
        if not self._lead.is_held:
            return None
        view = await self._ledger.order(order_id)
        decision = decide(view.order, view.lease, datetime.now(UTC), self._limits)
        return await self._carry_out(view.order, decision, view.lease)

    @property
    def open_causes(self) -> list[Cause]:
        """The causes whose breaker is not closed."""
        return self._to.breakers.open_causes

    async def sweep(self) -> None:
        """Look at all that a breaker holds, between the ticks."""
        if not self._lead.is_held:
            return
        held = [
            decision
            async for order, lease in self._ledger.orders_in([OrderPhase.ATTEMPT_FAILED])
            if isinstance(decision := decide(order, lease, datetime.now(UTC), self._limits), Held)
        ]
        await self._to.breakers.look(held, datetime.now(UTC), self._to.recovery.reissue)

    async def recover(self, order_id: str) -> Intervention:
        """Recover one order because an operator asks. Raises `Conflict` when there is nothing to recover."""
        order = (await self._ledger.order(order_id)).order
        decision = by_operator(order, datetime.now(UTC))
        if decision is None:
            raise Conflict(f"order {order_id} is {order.phase}: there is nothing to recover")
        return await self._to.recovery.reissue(decision)

    async def patrol(self) -> Patrol:
        """Look at everything, intervene, and record the tick with its figures.

        Raises `Conflict` naming who leads, when that is another process.
        """
        if not self._lead.is_held and not await self._lead.take():
            raise Conflict(f"this process does not lead the patrol: {self._lead.leader}")
        began = datetime.now(UTC)
        figures: Counter[str] = Counter(interventions=0, failed_interventions=0, suspects=0)
        degraded = await self._to.health.look(began)
        interventions = await self._orders(figures)
        figures["runs_open"], figures["runs_still"] = await self._to.runs.look(began)
        await self._theaters(figures)
        figures["services_degraded"] = len(degraded)
        figures["breakers_open"] = len(self._to.breakers.open_causes)
        figures["interventions"] = len(interventions)
        told: dict[str, int | float] = {
            **figures,
            "patrol_ms": round((datetime.now(UTC) - began) / timedelta(milliseconds=1)),
        }
        await self._ledger.append(
            new_event(EventType.PATROL_TICK, PatrolTick(figures=told), garrison_id=self._garrison_id)
        )
        PATROL_SECONDS.observe(told["patrol_ms"] / 1000)
        BREAKERS_OPEN.set(figures["breakers_open"])
        PATROL_TICK.set_to_current_time()
        return Patrol(figures=told, interventions=interventions)

    async def _orders(self, figures: Counter[str]) -> list[Intervention]:
        interventions: list[Intervention] = []
        held: list[Held] = []
        async for order, lease in self._ledger.orders_in(sorted(OPEN_PHASES)):
            figures["backlog"] += 1
            figures[f"orders_{order.phase.lower()}"] += 1
            decision = decide(order, lease, datetime.now(UTC), self._limits)
            if isinstance(decision, Held):
                held.append(decision)
                continue
            figures["suspects"] += isinstance(decision, Suspect)
            try:
                done = await self._carry_out(order, decision, lease)
            except Problem as error:
                figures["failed_interventions"] += 1
                log.warning("intervention failed", order_id=order.order_id, reason=error.message)
            else:
                interventions += [done] if done is not None else []
        figures["orders_held"] = len(held)
        return interventions + await self._to.breakers.look(
            held, datetime.now(UTC), self._to.recovery.reissue
        )

    async def _carry_out(
        self, order: OrderSnapshot, decision: Decision | None, lease: Lease | None
    ) -> Intervention | None:
        if not isinstance(decision, Suspect):
            self._suspicion.clear(order.order_id)
        match decision:
            case Enqueue():
                return await self._to.recovery.enqueue(decision)
            case Suspect():
                return await self._on_suspicion(decision, lease)
            case Reissue():
                await self._mind_losses(decision.order)
                return await self._to.recovery.reissue(decision)
            case GiveUp():
                return await self._to.recovery.give_up(decision)
            case _:
                return None

    async def _on_suspicion(self, suspect: Suspect, lease: Lease | None) -> Intervention | None:
        """Act on a silent unit: not before the second threshold, and not while anything of it moves."""
        order, now = suspect.order, datetime.now(UTC)
        mark = (order.attempt, lease.expires_at if lease is not None else order.phase_since)
        if self._suspicion.age(order.order_id, mark, time.monotonic()) < self._limits.suspect_seconds:
            return None
        try:
            seen = await self._client.call(observer.INSPECT_ORDER, order_id=order.order_id)
        except Unavailable:
            # Without the observer only the lease speaks; then it has to be silent for much longer.
            if now < suspect.silent_since + timedelta(seconds=_BLIND_SECONDS):
                return None
            seen = None
        if not is_silent(suspect, seen.moved_at if seen is not None else None, now, self._limits, lease):
            return None
        if seen is not None and seen.late_results:
            await self._to.recovery.begin(order, "lost_unit", suspect.reissue.reason, suspect.reissue)
            try:
                adopted = await self._to.adoption.adopt(order, seen.late_results)
            except Problem as error:
                log.warning("finished work not adopted", order_id=order.order_id, reason=error.message)
            else:
                if adopted is not None:
                    return adopted
        await self._mind_losses(order)
        return await self._to.recovery.reissue(suspect.reissue)

    async def _mind_losses(self, order: OrderSnapshot) -> None:
        if losses(order) >= _LOSSES_ESCALATED:
            await self._to.escalations.raise_once(
                Severity.HIGH,
                f"order:{order.order_id}",
                f"order {order.order_id} has cost {losses(order)} units; it is tried again with growing"
                " pauses. Cancel its run if it is the order's own doing",
                episode="losses",
                theater_id=order.theater_id,
                run_id=order.run_id,
                order_id=order.order_id,
            )

    async def _theaters(self, figures: Counter[str]) -> None:
        """Have the observer patrol every theater, and adopt what it finds finished."""
        theaters = (await self._client.call(vault.LIST_THEATERS)).theaters
        figures["theaters"] = len(theaters)
        slots = asyncio.Semaphore(_THEATERS_AT_ONCE)

        async def one(theater_id: str) -> observer.TheaterPatrol | None:
            async with slots:
                try:
                    return await self._client.call(observer.PATROL_THEATER, theater_id=theater_id)
                except Problem as error:
                    log.warning("theater not patrolled", theater_id=theater_id, reason=error.message)
                    return None

        seen = await asyncio.gather(*(one(theater.theater_id) for theater in theaters))
        findings = [finding for patrol in seen if patrol is not None for finding in patrol.findings]
        figures["findings"] = len(findings)
        figures["findings_new"] = sum(finding.new for finding in findings)
        for finding in findings:
            if finding.check == observer.LATE_RESULT and finding.order_id is not None:
                await self._adopt_late(finding.order_id)

    async def _adopt_late(self, order_id: str) -> None:
        try:
            seen = await self._client.call(observer.INSPECT_ORDER, order_id=order_id)
            order = (await self._ledger.order(order_id)).order
            earlier = [result for result in seen.late_results if result.attempt < order.attempt]
            await self._to.adoption.adopt(order, earlier)
        except Problem as error:
            log.warning("late result not adopted", order_id=order_id, reason=error.message)
