"""Validate completed orders: INTEGRATION_READY, or RECOVERY_REQUIRED with every reason against them."""

import asyncio

import structlog

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.tracing import span
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints.observer import Finding
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import IntegrationReady, RecoveryRequired
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_observer.evidence import gather_facts
from ironclaw_observer.validation import CHECKS, Facts, Verdict, verdict

log = structlog.get_logger()


class Validator:
    """Looks at what an order's commit holds and says whether it is ready to be merged."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger

    async def validate(self, order_id: str) -> Finding | None:
        """Validate one completed order; None when there was nothing to validate."""
        order = (await self._ledger.order(order_id)).order
        if order.phase is not OrderPhase.COMPLETED or order.recovery is not None or order.commit_sha is None:
            return None
        with span("observer.validate", parent=order.traceparent, attributes={"ironclaw.order_id": order_id}):
            return await self._tell(order, order.commit_sha)

    async def _tell(self, order: OrderSnapshot, commit: str) -> Finding:
        order_id, found = order.order_id, await self._judge(order)
        if found.valid:
            ready = IntegrationReady(attempt=order.attempt, commit_sha=commit, checks=list(CHECKS))
            appended = await self._ledger.append(order_event(EventType.INTEGRATION_READY, ready, order))
            detail = f"commit {commit} is valid"
            return Finding(
                "validation", order_id, detail, EventType.INTEGRATION_READY, {}, not appended.duplicate
            )
        reason = "; ".join(found.reasons)[:2000]
        log.warning("completed order is invalid", order_id=order_id, attempt=order.attempt, reason=reason)
        evidence = {"commit": commit}
        required = RecoveryRequired(attempt=order.attempt, reason=reason, evidence=evidence)
        appended = await self._ledger.append(order_event(EventType.RECOVERY_REQUIRED, required, order))
        return Finding(
            "validation", order_id, reason, EventType.RECOVERY_REQUIRED, evidence, not appended.duplicate
        )

    async def _judge(self, order: OrderSnapshot) -> Verdict:
        try:
            facts = await gather_facts(order)
        except (ironclaw_git.GitError, OSError) as error:
            log.warning("evidence cannot be read", order_id=order.order_id, reason=str(error))
            facts = Facts(commit_present=False, tree_clean=False, dirty_paths=[], aar=None, artifacts={})
        return await asyncio.to_thread(verdict, order, facts)
