"""Which orders are merged next, and how many at once. Pure."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.snapshots import OrderSnapshot

_POINT = timedelta(minutes=1)
APPROVAL_AWAITED = "waits for a person's approval"
"""How the reason of a hold begins that only a decision ends."""


def in_order(orders: Collection[OrderSnapshot], *, held_first: bool = False) -> list[OrderSnapshot]:
    """Return orders as the queue takes them: the oldest first, held ones last.

    A point of priority counts as a minute of waiting. So what is urgent goes first, and whatever waits long
    enough comes before everything newer: nothing starves. Held orders have turns of their own for that,
    `held_first`: trying them at every turn would slow the others down by what does not run.
    """

    def key(order: OrderSnapshot) -> tuple[bool, datetime, int]:
        start = order.created_at - order.order.constraints.priority * _POINT
        return (order.phase is OrderPhase.HELD) is not held_first, start, order.first_seq

    return sorted(orders, key=key)


def next_batch(
    waiting: Sequence[OrderSnapshot], size_max: int, may_share: Callable[[OrderSnapshot], bool]
) -> list[OrderSnapshot]:
    """Return the orders to gate together: the first, and with it those behind it that may share a batch."""
    first = waiting[0]
    if not may_share(first):
        return [first]
    others = (order for order in waiting[1:] if may_share(order))
    return [first, *(other for other, _ in zip(others, range(size_max - 1), strict=False))]


def is_free(order: OrderSnapshot) -> bool:
    """Tell whether an order may share a batch: what held one order would hold the others."""
    return order.phase is not OrderPhase.HELD or awaits_approval(order)


def awaits_approval(order: OrderSnapshot) -> bool:
    """Tell whether an order passed every gate and waits for a person."""
    return order.phase is OrderPhase.HELD and (order.hold or "").startswith(APPROVAL_AWAITED)
