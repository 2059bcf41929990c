"""When each order of a run did what, from the run's events. Pure."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E

_BEGINS = {
    E.ORDER_ENQUEUED: "queued",
    E.ORDER_CLAIMED: "claimed",
    E.ORDER_STARTED: "running",
    E.ORDER_COMPLETED: "checking",
    E.ORDER_ADOPTED: "checking",
    E.INTEGRATION_READY: "waiting",
    E.INTEGRATION_STARTED: "gates",
    E.INTEGRATION_PASSED: "promoting",
}
"""What begins with an event; whatever was before ends."""

_ENDS = frozenset(
    {
        E.INTEGRATED,
        E.INTEGRATION_FAILED,
        E.ORDER_FAILED,
        E.ORDER_BLOCKED,
        E.ORDER_CANCELLED,
        E.ORDER_REISSUED,
    }
)


_TICKS_MAX = 8
_STEPS_SECONDS = (
    *(n * scale for scale in (0.01, 0.1, 1, 10) for n in (1, 2, 5)),
    *(60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400),
)


class Bar(Struct, frozen=True):
    """One stretch of an order's life; `x` and `width` in percent of the run's."""

    kind: str
    attempt: int
    begun: datetime
    seconds: float
    x: float
    width: float


class Row(Struct, frozen=True):
    """One order."""

    order_id: str
    bars: list[Bar]


class Tick(Struct, frozen=True):
    """A mark of the time axis: seconds after the first event, and where in percent."""

    seconds: float
    x: float


class Waterfall(Struct, frozen=True):
    """A row an order, oldest first; `seconds` from the first event to the last."""

    rows: list[Row]
    seconds: float

    @property
    def ticks(self) -> list[Tick]:
        """Four to ten marks at a round distance, the first at 0."""
        step = next((s for s in _STEPS_SECONDS if self.seconds / s <= _TICKS_MAX), self.seconds / 4)
        count = int(self.seconds / step) if step else 0
        return [Tick(round(n * step, 3), round(100 * n * step / self.seconds, 2)) for n in range(count + 1)]


def waterfall(events: Iterable[Event], until: datetime | None) -> Waterfall:
    """Return the waterfall of a run's events, oldest first; what still goes on reaches to `until`.

    None as `until` stands for the last event: the run has ended, or is shown as it was then.
    """
    spans: dict[str, list[tuple[str, int, datetime, datetime | None]]] = {}
    first: datetime | None = None
    last: datetime | None = None
    for event in events:
        first, last = first or event.ts, event.ts
        if event.order_id is None:
            continue
        found = spans.setdefault(event.order_id, [])
        begins = _BEGINS.get(event.type)
        if (begins or event.type in _ENDS) and found and found[-1][3] is None:
            found[-1] = (*found[-1][:3], event.ts)
        if begins:
            found.append((begins, int(event.payload.get("attempt", 1)), event.ts, None))
    if first is None or last is None:
        return Waterfall([], 0.0)
    end = max(until or last, last)
    whole = max((end - first).total_seconds(), 0.001)

    def bar(kind: str, attempt: int, begun: datetime, ended: datetime | None) -> Bar:
        seconds = max(((ended or end) - begun).total_seconds(), 0.0)
        x = 100 * (begun - first).total_seconds() / whole
        return Bar(kind, attempt, begun, seconds, round(x, 2), round(max(100 * seconds / whole, 0.3), 2))

    rows = [Row(order_id, [bar(*span) for span in found]) for order_id, found in spans.items()]
    return Waterfall(rows, round(whole, 3))
