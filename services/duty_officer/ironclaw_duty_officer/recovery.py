"""Carry out a decision: keep the work first, then change the state."""

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.queue import JobQueue
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.duty_officer import Intervention
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.payloads import (
    OrderFailed,
    OrderReissued,
    RecoveryCompleted,
    RecoveryStarted,
)
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_duty_officer.rules import Decision, Enqueue, GiveUp, Reissue

log = structlog.get_logger()


class Recovery:
    """Performs interventions; each is idempotent by its derived event ids."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, queue: JobQueue) -> None:
        self._client = client
        self._ledger = ledger
        self._queue = queue

    async def carry_out(self, decision: Decision) -> Intervention:
        """Do what was decided and return the record of it. Raises what the ledger or the vault answered."""
        order = decision.order
        match decision:
            case Enqueue():
                return await self._enqueue(decision)
            case Reissue():
                await self._keep_work(order)
                events = _reissue_events(decision)
                action, detail = "reissued", decision.reason
            case GiveUp():
                await self._keep_work(order)
                events = [_failure_event(decision)]
                action, detail = "failed", decision.reason
        await self._ledger.append_all(events)
        log.info(action, order_id=order.order_id, attempt=order.attempt, rule=decision.rule, reason=detail)
        return Intervention(order_id=order.order_id, rule=decision.rule, action=action, detail=detail)

    async def _enqueue(self, decision: Enqueue) -> Intervention:
        order = decision.order
        path = order.worktree.path if order.worktree is not None else ""
        job = JobMessage(
            order_id=order.order_id,
            run_id=order.run_id,
            theater_id=order.theater_id,
            worktree_path=path,
            attempt=order.attempt,
            rescue=decision.round,
            profile=order.order.profile,
            constraints=order.order.constraints,
            tool_policy=order.order.constraints.tool_policy,
        )
        queued = await self._queue.enqueue(job)
        detail = f"job {job.job_id} queued" if queued else f"job {job.job_id} is queued already"
        return Intervention(order_id=order.order_id, rule="unclaimed", action="enqueued", detail=detail)

    async def _keep_work(self, order: OrderSnapshot) -> None:
        """Have the vault salvage whatever the attempt left, before anything else touches it."""
        if order.worktree is None:
            return
        try:
            query = vault.AttemptQuery(attempt=order.attempt)
            await self._client.call(vault.ARCHIVE_WORKTREE, query=query, order_id=order.order_id)
        except NotFound:
            log.warning("no worktree to keep", order_id=order.order_id, attempt=order.attempt)


def _reissue_events(decision: Reissue) -> list[NewEvent]:
    attempt = decision.order.attempt
    return [
        order_event(
            EventType.RECOVERY_STARTED,
            RecoveryStarted(attempt=attempt, reason=decision.reason),
            decision.order,
        ),
        order_event(
            EventType.ORDER_REISSUED,
            OrderReissued(attempt=attempt + 1, reason=decision.reason, cause=decision.cause),
            decision.order,
        ),
        order_event(
            EventType.RECOVERY_COMPLETED,
            RecoveryCompleted(attempt=attempt, outcome=f"reissued as attempt {attempt + 1}"),
            decision.order,
        ),
    ]


def _failure_event(decision: GiveUp) -> NewEvent:
    payload = OrderFailed(
        attempt=decision.order.attempt, cause=decision.cause, reason=decision.reason, final=True
    )
    return order_event(EventType.ORDER_FAILED, payload, decision.order, "final")
