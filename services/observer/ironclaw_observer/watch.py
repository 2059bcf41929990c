"""Patrol a theater: run every check, say what was found, and tell the ledger what somebody has to act on."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import integration, vault
from ironclaw_contracts.endpoints.observer import LATE_RESULT, Finding, TheaterPatrol
from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_contracts.errors import Conflict, Problem
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import RecoveryRequired
from ironclaw_contracts.snapshots import Lease, OrderSnapshot
from ironclaw_contracts.transitions import OPEN_PHASES, TERMINAL_PHASES
from ironclaw_observer.late import LateResults, look_at, lost_attempts
from ironclaw_observer.leftovers import Leftover, find_leftovers
from ironclaw_observer.patrol import (
    CHECKS,
    Fault,
    Sight,
    is_overdue,
    needs_look,
    ready_not_integrated,
    stuck_after,
)
from ironclaw_observer.validator import Validator

log = structlog.get_logger()

_ADOPTABLE = OPEN_PHASES - {
    OrderPhase.COMPLETED,
    OrderPhase.READY,
    OrderPhase.INTEGRATING,
    OrderPhase.GATED,
    OrderPhase.HELD,
}
_LEFTOVERS_MAX = 200


class Watch:
    """Looks at theaters and says what it sees; it changes no order itself."""

    def __init__(
        self,
        client: ServiceClient,
        ledger: LedgerClient,
        validator: Validator,
        late: LateResults,
        escalations: Escalations,
        *,
        stuck_seconds: int,
        stuck_seconds_by_profile: dict[str, int],
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._validator = validator
        self._late = late
        self._escalations = escalations
        self._stuck_seconds = stuck_seconds
        self._by_profile = stuck_seconds_by_profile

    async def patrol_all(self) -> None:
        """Patrol every theater; one that cannot be patrolled keeps none of the others waiting."""
        for theater in (await self._client.call(vault.LIST_THEATERS)).theaters:
            try:
                await self.patrol(theater.theater_id)
            except Problem as error:
                log.warning("theater not patrolled", theater_id=theater.theater_id, reason=error.message)

    async def patrol(self, theater_id: str) -> TheaterPatrol:
        """Run every check over a theater. Patrolling again right after finds nothing new."""
        theater = await self._client.call(vault.GET_THEATER, theater_id=theater_id)
        seen = [item async for item in self._ledger.orders_in(sorted(OPEN_PHASES), theater.theater_id)]
        checked: Counter[str] = Counter({check.__name__: len(seen) for check in CHECKS})
        findings: list[Finding] = []
        for order, lease in seen:
            findings += await self._look_at(order, lease)
            if order.phase is OrderPhase.COMPLETED and order.recovery is None:
                checked["validation"] += 1
                validated = await self._validator.validate(order.order_id)
                findings += [validated] if validated is not None else []
            if order.phase in _ADOPTABLE and (attempts := lost_attempts(order)):
                checked[LATE_RESULT] += len(attempts)
                findings += await self._late_results(order, sorted(attempts))
        in_use = frozenset(Path(order.worktree.path) for order, _ in seen if order.worktree is not None)
        folder = Path(theater.worktrees_path)
        leftovers = await find_leftovers(self._ledger, folder, in_use, _LEFTOVERS_MAX)
        checked["orphan_worktree"] = checked["dirty_leftover"] = len(leftovers)
        findings += [f for item in leftovers if (f := await self._leftover(theater_id, item)) is not None]
        return TheaterPatrol(theater_id=theater_id, checked=dict(checked), findings=findings)

    async def _look_at(self, order: OrderSnapshot, lease: Lease | None) -> list[Finding]:
        now = datetime.now(UTC)
        seconds = stuck_after(order.order.profile.name, self._by_profile, self._stuck_seconds)
        standing = await look_at(order) if needs_look(order, lease, now, seconds) else None
        sight = Sight(order, lease, standing, now, seconds)
        return [await self._tell(check.__name__, sight, fault) for check in CHECKS if (fault := check(sight))]

    async def _tell(self, check: str, sight: Sight, fault: Fault) -> Finding:
        order = sight.order
        if check == ready_not_integrated.__name__:
            return await self._prompt_merge(sight, fault)
        if not fault.recover:
            return Finding(check, order.order_id, fault.detail, None, {})
        evidence = {
            "check": check,
            "lease_expires_at": sight.lease.expires_at if sight.lease is not None else None,
            "moved_at": sight.standing.moved_at if sight.standing is not None else None,
            "stuck_seconds": sight.stuck_seconds,
        }
        required = RecoveryRequired(attempt=order.attempt, reason=fault.detail, evidence=evidence)
        event = order_event(EventType.RECOVERY_REQUIRED, required, order, check)
        try:
            new = not (await self._ledger.append(event)).duplicate
        except Conflict as error:
            # Told by an earlier patrol with other evidence, or the order moved on meanwhile.
            log.info("not told", order_id=order.order_id, check=check, reason=error.message)
            new = False
        return Finding(check, order.order_id, fault.detail, EventType.RECOVERY_REQUIRED, evidence, new)

    async def _prompt_merge(self, sight: Sight, fault: Fault) -> Finding:
        """Ask integration to take what it let lie: a lost notification must not stop the merge queue."""
        order, reason = sight.order, "integration was asked to take it"
        check = ready_not_integrated.__name__
        try:
            request = integration.IntegrationRequest(theater_id=order.theater_id, order_id=order.order_id)
            answer = await self._client.call(integration.INTEGRATE, request)
            if answer.phase in TERMINAL_PHASES:
                return Finding(check, order.order_id, f"{fault.detail}; merged now", None, {})
        except Problem as error:
            reason = error.message
        if not is_overdue(sight):
            return Finding(check, order.order_id, f"{fault.detail}; {reason}", None, {})
        _, new = await self._escalations.raise_once(
            Severity.HIGH,
            f"merge:{order.order_id}",
            f"order {order.order_id} is ready and not merged: {fault.detail}; {reason}",
            episode=order.phase_event_id,
            theater_id=order.theater_id,
            run_id=order.run_id,
            order_id=order.order_id,
        )
        return Finding(check, order.order_id, fault.detail, EventType.ESCALATION_RAISED, {}, new)

    async def _late_results(self, order: OrderSnapshot, attempts: list[int]) -> list[Finding]:
        return [
            Finding(
                check=LATE_RESULT,
                order_id=order.order_id,
                detail=f"attempt {result.attempt} finished at {result.commit_sha} after it was given up",
                event=None,
                evidence={"attempt": result.attempt, "commit": result.commit_sha},
            )
            for result in await self._late.of(order, attempts)
        ]

    async def _leftover(self, theater_id: str, leftover: Leftover) -> Finding | None:
        order, name = leftover.order, leftover.path.name
        if order is not None:
            if not leftover.dirty or order.phase not in TERMINAL_PHASES:
                return None
            detail = f"{name} of an order that is {order.phase} has {leftover.dirty} uncommitted paths"
            return Finding("dirty_leftover", order.order_id, detail, None, {"path": str(leftover.path)})
        detail = f"the worktree {name} belongs to no order of the ledger; nothing removes it"
        _, new = await self._escalations.raise_once(
            Severity.MEDIUM,
            f"worktree:{theater_id}/{name}"[:200],
            f"{detail}. Look at {leftover.path} and keep or delete it by hand",
            episode="orphan",
            theater_id=theater_id,
        )
        evidence = {"path": str(leftover.path)}
        return Finding("orphan_worktree", None, detail, EventType.ESCALATION_RAISED, evidence, new)
