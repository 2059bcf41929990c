"""Run an audit: read the patrol's record, raise what is a concern, take over where nobody patrols."""

from collections import deque
from datetime import UTC, datetime, timedelta

import structlog

from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.sentinel import Audit, Concern
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import OPEN_PHASES
from ironclaw_sentinel.audit import AuditLimits, Tick, backlog_per_minute, concerns, is_loop, unfinished
from ironclaw_sentinel.failover import Failover

log = structlog.get_logger()

_TICKS_LOOKED_AT = 20
_RECOVERIES_LOOKED_AT = 500
_EVENTS_LOOKED_BACK = 50_000
_WINDOW = timedelta(hours=1)


class Auditor:
    """Audits the duty officer."""

    def __init__(
        self,
        ledger: LedgerClient,
        escalations: Escalations,
        failover: Failover | None,
        limits: AuditLimits,
    ) -> None:
        self._ledger = ledger
        self._escalations = escalations
        self._failover = failover
        self._limits = limits
        self._started_at = datetime.now(UTC)
        self._seen_seq = -1
        self._ticks: deque[Tick] = deque(maxlen=_TICKS_LOOKED_AT)
        self._recoveries: deque[Event] = deque(maxlen=_RECOVERIES_LOOKED_AT)

    async def audit(self) -> Audit:
        """Audit now; a second audit right after raises nothing new."""
        await self._read_on()
        now = datetime.now(UTC)
        ticks = list(self._ticks)
        stuck = await self._unfinished(now)
        open_orders = [order async for order, _ in self._ledger.orders_in(sorted(OPEN_PHASES))]
        loops = [order.order_id for order in open_orders if is_loop(order, self._limits)]
        found = concerns(ticks, self._started_at, stuck, loops, now, self._limits)
        if self._failover is not None:
            await self._failover.decide(any(item.check == "tick_age" for item in found))
        raised: list[Concern] = []
        for item in found:
            escalation_id, new = await self._escalations.raise_once(
                item.severity, f"audit:{item.check}", item.reason, episode=item.episode
            )
            raised.append(Concern(item.check, item.severity, item.reason, escalation_id, new))
        slope = backlog_per_minute(ticks)
        last = ticks[-1] if ticks else None
        return Audit(
            last_tick_at=last.at if last is not None else None,
            last_tick_by=last.source if last is not None else None,
            tick_age_seconds=round((now - last.at).total_seconds(), 3) if last is not None else None,
            backlog=last.backlog if last is not None else None,
            backlog_per_minute=round(slope, 3) if slope is not None else None,
            unfinished_recoveries=len(stuck),
            reissue_loops=loops,
            failover=self._failover is not None and self._failover.is_active,
            concerns=raised,
        )

    async def _read_on(self) -> None:
        """Read the record from where the last audit ended; the first one reads the last events only."""
        if self._seen_seq < 0:
            self._seen_seq = max(0, await self._ledger.head() - _EVENTS_LOOKED_BACK)
        types = [EventType.PATROL_TICK, EventType.RECOVERY_STARTED]
        async for event in self._ledger.events(types, after=self._seen_seq):
            self._seen_seq = event.seq
            if event.type is EventType.PATROL_TICK:
                self._ticks.append(Tick.of(event))
            else:
                self._recoveries.append(event)

    async def _unfinished(self, now: datetime) -> list[str]:
        found: list[str] = []
        orders: dict[str, OrderSnapshot | None] = {}
        for event in self._recoveries:
            order_id = event.order_id
            if order_id is None or event.ts < now - _WINDOW:
                continue
            if order_id not in orders:
                orders[order_id] = await self._order(order_id)
            order = orders[order_id]
            attempt = int(event.payload.get("attempt", 0))
            seconds = self._limits.recovery_seconds_max
            if order is not None and unfinished(order, attempt, event.ts, now, seconds):
                found.append(order_id)
        return sorted(set(found))

    async def _order(self, order_id: str) -> OrderSnapshot | None:
        try:
            return (await self._ledger.order(order_id)).order
        except NotFound:
            return None
