"""Validate completed orders and patrol theaters."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import structlog

import ironclaw_git
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.observer import Finding, TheaterPatrol
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import IntegrationReady, RecoveryRequired
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import OPEN_PHASES
from ironclaw_observer.evidence import gather_facts
from ironclaw_observer.patrol import CHECKS, Sight, inspect, orphans
from ironclaw_observer.validation import CHECKS as VALIDATION_CHECKS
from ironclaw_observer.validation import Facts, Verdict, verdict

log = structlog.get_logger()


class Watch:
    """Looks at orders and says what it sees; it changes nothing itself."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, stuck_seconds: int) -> None:
        self._client = client
        self._ledger = ledger
        self._stuck_seconds = stuck_seconds

    async def validate(self, order_id: str) -> Finding | None:
        """Validate one completed order: INTEGRATION_READY, or RECOVERY_REQUIRED with the reasons."""
        order = (await self._ledger.order(order_id)).order
        if order.phase is not OrderPhase.COMPLETED or order.recovery is not None or order.commit_sha is None:
            return None
        found = await self._judge(order)
        if found.valid:
            ready = IntegrationReady(
                attempt=order.attempt, commit_sha=order.commit_sha, checks=list(VALIDATION_CHECKS)
            )
            await self._ledger.append(order_event(EventType.INTEGRATION_READY, ready, order))
            return None
        reason = "; ".join(found.reasons)[:2000]
        log.warning("completed order is invalid", order_id=order_id, attempt=order.attempt, reason=reason)
        required = RecoveryRequired(
            attempt=order.attempt, reason=reason, evidence={"commit": order.commit_sha}
        )
        await self._ledger.append(order_event(EventType.RECOVERY_REQUIRED, required, order))
        return Finding(
            check="validation",
            order_id=order_id,
            detail=reason,
            event=EventType.RECOVERY_REQUIRED,
            evidence={},
        )

    async def patrol(self, theater_id: str) -> TheaterPatrol:
        """Run every check over a theater's open orders; validate what was completed and not looked at."""
        theater = await self._client.call(vault.GET_THEATER, theater_id=theater_id)
        seen = [item async for item in self._ledger.orders_in(sorted(OPEN_PHASES), theater.theater_id)]
        now = datetime.now(UTC)
        sights = [Sight(order, lease, _exists(order), now, self._stuck_seconds) for order, lease in seen]
        findings = inspect(sights)
        for order, _ in seen:
            if order.phase is OrderPhase.COMPLETED and (finding := await self.validate(order.order_id)):
                findings.append(finding)
        folders = await asyncio.to_thread(_worktree_folders, [order for order, _ in seen])
        findings.extend(orphans(folders, [order for order, _ in seen]))
        checked = {check.__name__: len(sights) for check in CHECKS} | {"orphan_worktree": len(folders)}
        return TheaterPatrol(theater_id=theater_id, checked=checked, findings=findings)

    async def _judge(self, order: OrderSnapshot) -> Verdict:
        try:
            facts = await gather_facts(order)
        except (ironclaw_git.GitError, OSError) as error:
            log.warning("evidence cannot be read", order_id=order.order_id, reason=str(error))
            facts = Facts(commit_present=False, tree_clean=False, dirty_paths=[], aar=None, artifacts={})
        return await asyncio.to_thread(verdict, order, facts)


def _exists(order: OrderSnapshot) -> bool | None:
    return None if order.worktree is None else Path(order.worktree.path).is_dir()


def _worktree_folders(orders: list[OrderSnapshot]) -> list[str]:
    """Return the names of the folders beside the orders' worktrees."""
    parents = {Path(order.worktree.path).parent for order in orders if order.worktree is not None}
    return sorted(
        entry.name for parent in parents if parent.is_dir() for entry in parent.iterdir() if entry.is_dir()
    )
