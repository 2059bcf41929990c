"""Bring one order to the workers: a worktree from the current mainline, the event, the job."""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.queue import JobQueue
from ironclaw_co.progress import Dispatch
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.enums import WorktreeState
from ironclaw_contracts.events import EventType
from ironclaw_contracts.jobs import job_of
from ironclaw_contracts.payloads import OrderEnqueued
from ironclaw_contracts.snapshots import OrderSnapshot


class Dispatcher:
    """Every step is idempotent: a crash between two of them is repaired by the next round."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, queue: JobQueue) -> None:
        self._client = client
        self._ledger = ledger
        self._queue = queue

    async def dispatch(self, action: Dispatch) -> None:
        """Enqueue an order whose dependencies are merged.

        The event comes before the job: a job that is lost is enqueued again by the duty officer, a job whose
        event is missing would be refused by the ledger.
        """
        order = action.order
        path, base_commit = await self._worktree(order, action.requires)
        await self._ledger.append(
            order_event(
                EventType.ORDER_ENQUEUED,
                OrderEnqueued(attempt=order.attempt, base_commit=base_commit),
                order,
            )
        )
        await self._queue.enqueue(job_of(order, path))

    async def _worktree(self, order: OrderSnapshot, requires: tuple[str, ...]) -> tuple[str, str]:
        """Return path and base commit of the attempt's worktree, made and prepared if it is not."""
        have = order.worktree
        if have is not None and have.attempt == order.attempt and have.state is WorktreeState.READY:
            return have.path, have.base_commit
        request = vault.WorktreeRequest(
            theater_id=order.theater_id,
            order_id=order.order_id,
            attempt=order.attempt,
            requires=list(requires),
            order=order.order,
        )
        made = await self._client.call(vault.CREATE_WORKTREE, request)
        return made.worktree_path, made.base_commit
