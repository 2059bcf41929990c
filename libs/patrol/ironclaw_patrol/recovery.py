"""Carry out a decision: say that it begins, keep the work, then change the state."""

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.queue import JobQueue
from ironclaw_chassis.tracing import span
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.duty_officer import Intervention
from ironclaw_contracts.errors import EventConflict, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.jobs import JobMessage, job_of
from ironclaw_contracts.payloads import OrderFailed, OrderReissued, RecoveryCompleted, RecoveryStarted
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_patrol.metrics import INTERVENTIONS
from ironclaw_patrol.rules import Enqueue, GiveUp, Reissue

log = structlog.get_logger()


class Recovery:
    """Performs interventions; each is idempotent by its derived event ids."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, queue: JobQueue) -> None:
        self._client = client
        self._ledger = ledger
        self._queue = queue

    async def enqueue(self, decision: Enqueue) -> Intervention | None:
        """Queue an order's job again; None when it waits in the queue still."""
        order = decision.order
        path = order.worktree.path if order.worktree is not None else ""
        job = job_of(order, path, decision.round)
        own = f"{order.order_id}:{order.attempt}"
        waiting = await self._queue.waiting()
        if own in waiting or any(job_id.startswith(f"{own}:") for job_id in waiting):
            return None
        with span(
            "patrol.enqueue", parent=order.traceparent, attributes={"ironclaw.order_id": order.order_id}
        ):
            return await self._enqueue(decision, job)

    async def _enqueue(self, decision: Enqueue, job: JobMessage) -> Intervention:
        order = decision.order
        await self.begin(order, decision.rule, "its job is not in the queue", decision, decision.round)
        await self._queue.enqueue(job)
        INTERVENTIONS.labels(decision.rule, "enqueued").inc()
        completed = RecoveryCompleted(attempt=order.attempt, outcome=f"queued again as {job.job_id}")
        await self._ledger.append(
            order_event(EventType.RECOVERY_COMPLETED, completed, order, decision.rule, decision.round)
        )
        log.info("enqueued", order_id=order.order_id, attempt=order.attempt, rule=decision.rule)
        return Intervention(order.order_id, decision.rule, "enqueued", f"job {job.job_id} queued")

    async def reissue(self, decision: Reissue) -> Intervention:
        """Give the order a new attempt; raises what the ledger or the vault answered."""
        order = decision.order
        with span(
            "patrol.reissue", parent=order.traceparent, attributes={"ironclaw.order_id": order.order_id}
        ):
            return await self._reissue(decision)

    async def _reissue(self, decision: Reissue) -> Intervention:
        order, attempt = decision.order, decision.order.attempt
        await self.begin(order, decision.rule, decision.reason, decision)
        await self.keep_work(order)
        reissued = OrderReissued(attempt=attempt + 1, reason=decision.reason, cause=decision.cause)
        completed = RecoveryCompleted(attempt=attempt, outcome=f"reissued as attempt {attempt + 1}")
        await self._ledger.append_all(
            [
                order_event(EventType.ORDER_REISSUED, reissued, order),
                order_event(EventType.RECOVERY_COMPLETED, completed, order),
            ]
        )
        log.info(
            "reissued", order_id=order.order_id, attempt=attempt, rule=decision.rule, reason=decision.reason
        )
        INTERVENTIONS.labels(decision.rule, "reissued").inc()
        return Intervention(order.order_id, decision.rule, "reissued", decision.reason)

    async def give_up(self, decision: GiveUp) -> Intervention:
        """Fail the order for good, with the reasons of all its attempts."""
        order = decision.order
        with span(
            "patrol.give_up", parent=order.traceparent, attributes={"ironclaw.order_id": order.order_id}
        ):
            return await self._give_up(decision)

    async def _give_up(self, decision: GiveUp) -> Intervention:
        order = decision.order
        await self.begin(order, decision.rule, decision.reason, decision)
        await self.keep_work(order)
        failed = OrderFailed(attempt=order.attempt, cause=decision.cause, reason=decision.reason, final=True)
        completed = RecoveryCompleted(attempt=order.attempt, outcome="failed for good: retries spent")
        await self._ledger.append_all(
            [
                order_event(EventType.ORDER_FAILED, failed, order, "final"),
                order_event(EventType.RECOVERY_COMPLETED, completed, order),
            ]
        )
        log.info("failed", order_id=order.order_id, attempt=order.attempt, reason=decision.reason)
        INTERVENTIONS.labels(decision.rule, "failed").inc()
        return Intervention(order.order_id, decision.rule, "failed", decision.reason)

    async def begin(
        self,
        order: OrderSnapshot,
        rule: str,
        reason: str,
        decision: Enqueue | Reissue | GiveUp,
        *ordinals: str | int,
    ) -> None:
        """Record that a recovery begins and when its fault did."""
        started = RecoveryStarted(
            attempt=order.attempt, reason=reason[:2000], rule=rule, since=decision.since
        )
        try:
            await self._ledger.append(
                order_event(EventType.RECOVERY_STARTED, started, order, rule, *ordinals)
            )
        except EventConflict:
            log.info("recovery begun before", order_id=order.order_id, attempt=order.attempt, rule=rule)

    async def keep_work(self, order: OrderSnapshot) -> None:
        """Have the vault salvage whatever the attempt left, before anything else touches it."""
        if order.worktree is None:
            return
        try:
            query = vault.AttemptQuery(attempt=order.worktree.attempt)
            await self._client.call(vault.ARCHIVE_WORKTREE, query=query, order_id=order.order_id)
        except NotFound:
            log.warning("no worktree to keep", order_id=order.order_id, attempt=order.attempt)
