"""Tells the ledger how a merge goes. Each telling can be repeated; the event ids see to it."""

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.payloads import (
    AttemptPayload,
    GateResult,
    Integrated,
    IntegrationFailed,
    IntegrationPassed,
    IntegrationStarted,
    OrderBlocked,
)
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_integration.metrics import MERGES

_REASON_CHARS_MAX = 2_000


class Announcer:
    """Appends the events of merges. Raises the ledger's `Problem`; `Conflict` when an order has moved on."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger

    async def started(self, orders: list[OrderSnapshot]) -> None:
        """Say that these orders are being gated, where that was not said yet."""
        fresh = [order for order in orders if order.phase is OrderPhase.READY]
        if fresh:
            await self._ledger.append_all([_start(order) for order in fresh])

    async def passed(self, passed: list[tuple[OrderSnapshot, IntegrationPassed]]) -> None:
        """Say that merges passed, all of them or none."""
        await self._ledger.append_all(
            [
                event
                for order, payload in passed
                for event in (_start(order), _event(order, EventType.INTEGRATION_PASSED, payload))
            ]
        )

    async def integrated(self, orders: list[tuple[OrderSnapshot, str]], mainline: str) -> None:
        """Say that the mainline holds these orders' merge commits."""
        await self._ledger.append_all(
            [
                order_event(
                    EventType.INTEGRATED,
                    Integrated(attempt=order.attempt, commit_sha=commit, mainline=mainline),
                    order,
                )
                for order, commit in orders
            ]
        )
        MERGES.labels("integrated").inc(len(orders))

    async def refused(self, order: OrderSnapshot, reason: str, gates: list[GateResult]) -> None:
        """Turn an order away for what its work is."""
        payload = IntegrationFailed(attempt=order.attempt, reason=reason[:_REASON_CHARS_MAX], gates=gates)
        await self._told(order, EventType.INTEGRATION_FAILED, payload)
        MERGES.labels("rejected").inc()

    async def conflicting(self, order: OrderSnapshot, paths: list[str]) -> None:
        """Turn a conflicting order away: reissued once on the new mainline, blocked the second time."""
        reason = conflict_reason(paths)
        if any(end.conflicts for end in order.history):
            blocked = OrderBlocked(attempt=order.attempt, reason=reason, conflicts=paths)
            await self._told(order, EventType.ORDER_BLOCKED, blocked)
            MERGES.labels("blocked").inc()
        else:
            refusal = IntegrationFailed(attempt=order.attempt, reason=reason, conflicts=paths)
            await self._told(order, EventType.INTEGRATION_FAILED, refusal)
            MERGES.labels("conflict").inc()

    async def held(self, order: OrderSnapshot, reason: str, gates: list[GateResult]) -> None:
        """Say that a merge has to wait, once for each reason."""
        reason = reason[:_REASON_CHARS_MAX]
        if order.hold == reason:
            return
        payload = IntegrationFailed(attempt=order.attempt, reason=reason, hold=True, gates=gates)
        await self._told(order, EventType.INTEGRATION_FAILED, payload)
        MERGES.labels("held").inc()

    async def _told(self, order: OrderSnapshot, kind: EventType, payload: AttemptPayload) -> None:
        await self._ledger.append_all([_start(order), _event(order, kind, payload)])


def conflict_reason(paths: list[str]) -> str:
    """Return what is said of a conflict."""
    return f"conflicts with the mainline in {', '.join(paths[:10])}"[:_REASON_CHARS_MAX]


def _start(order: OrderSnapshot) -> NewEvent:
    payload = IntegrationStarted(attempt=order.attempt, commit_sha=order.commit_sha or "")
    return _event(order, EventType.INTEGRATION_STARTED, payload)


def _event(order: OrderSnapshot, kind: EventType, payload: AttemptPayload) -> NewEvent:
    # A merge tried again (another mainline, after a hold) starts again: last_seq tells them apart.
    return order_event(kind, payload, order, f"try-{order.last_seq}")
