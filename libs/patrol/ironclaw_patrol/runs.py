"""Runs in which nothing moves: co is asked to look again; a person hears of it when that does not help."""

from datetime import datetime, timedelta

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import co
from ironclaw_contracts.endpoints import ledger as ledger_api
from ironclaw_contracts.enums import OrderPhase, RunStatus, Severity
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.snapshots import RunSnapshot, RunView
from ironclaw_contracts.transitions import TERMINAL_PHASES

log = structlog.get_logger()

_MINE_TO_MOVE = frozenset({OrderPhase.PLANNED, OrderPhase.BLOCKED})
_ESCALATE_AFTER = 5


def is_still(view: RunView) -> bool:
    """Tell whether nobody but co could move the run: no order is queued, in hand, or being judged. Pure."""
    open_orders = [order for order in view.orders if order.phase not in TERMINAL_PHASES]
    return all(order.phase in _MINE_TO_MOVE for order in open_orders)


class RunWatch:
    """Looks for open runs that stand still."""

    def __init__(
        self, client: ServiceClient, ledger: LedgerClient, escalations: Escalations, still_seconds: int
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._escalations = escalations
        self._still = timedelta(seconds=still_seconds)

    async def look(self, now: datetime) -> tuple[int, int]:
        """Nudge what stands still; return how many runs are open, and how many of them stand still."""
        open_count = still_count = 0
        cursor = None
        while True:
            query = ledger_api.RunsQuery(status=RunStatus.OPEN, cursor=cursor, limit=500)
            page = await self._client.call(ledger_api.LIST_RUNS, query=query)
            open_count += len(page.runs)
            for run in page.runs:
                if now - run.updated_at > self._still and is_still(await self._ledger.run(run.run_id)):
                    still_count += 1
                    await self._nudge(run, now)
            cursor = page.next_cursor
            if cursor is None:
                return open_count, still_count

    async def _nudge(self, run: RunSnapshot, now: datetime) -> None:
        reason = "co was asked and changed nothing"
        try:
            await self._client.call(co.DISPATCH_RUN, run_id=run.run_id)
        except Problem as error:
            reason = error.message
            log.warning("run stands still", run_id=run.run_id, reason=reason)
        if now - run.updated_at > _ESCALATE_AFTER * self._still:
            await self._escalations.raise_once(
                Severity.HIGH,
                f"run:{run.run_id}",
                f"run {run.run_id} is OPEN and nothing of it has moved since"
                f" {run.updated_at.isoformat()}: {reason}",
                episode=run.last_seq,
                theater_id=run.theater_id,
                run_id=run.run_id,
            )
