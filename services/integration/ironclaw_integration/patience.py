"""When a held order is tried again: at once when the mainline moved, otherwise after growing pauses."""

import time

from msgspec import Struct

from ironclaw_contracts.snapshots import OrderSnapshot

_PAUSE_SECONDS = (5.0, 60.0)
_KEPT_MAX = 10_000


class Rest(Struct, frozen=True):
    """An order was held on this mainline, and rests `until`, in monotonic seconds."""

    theater_id: str
    head: str
    seconds: float
    until: float


class Patience:
    """Kept in memory: a process that begins anew tries everything once."""

    def __init__(self) -> None:
        self._resting: dict[tuple[str, int], Rest] = {}

    def rest(self, order: OrderSnapshot, head: str) -> None:
        """Let an order rest, for longer each time on the same mainline."""
        before = self._resting.pop((order.order_id, order.attempt), None)
        shortest, longest = _PAUSE_SECONDS
        again = before is not None and before.head == head
        seconds = min(before.seconds * 2, longest) if before is not None and again else shortest
        if len(self._resting) >= _KEPT_MAX:
            self._resting.pop(next(iter(self._resting)))
        rest = Rest(order.theater_id, head, seconds, time.monotonic() + seconds)
        self._resting[order.order_id, order.attempt] = rest

    def rests(self, order: OrderSnapshot, head: str) -> bool:
        """Tell whether an order's time has not come yet."""
        found = self._resting.get((order.order_id, order.attempt))
        return found is not None and found.head == head and found.until > time.monotonic()

    def forget(self, order: OrderSnapshot) -> None:
        """Have an order tried at once."""
        self._resting.pop((order.order_id, order.attempt), None)

    def forget_all(self, theater_id: str) -> None:
        """Have all orders of a theater tried at once."""
        self._resting = {key: rest for key, rest in self._resting.items() if rest.theater_id != theater_id}
