"""Suspect first, act after a second threshold. Pure; a steady clock comes in.

The threshold is counted from the first look, not from the lease's end: a wall clock that jumps ahead makes
every lease look old at once, but a unit that lives renews its lease before the threshold is over.
"""

from datetime import datetime

Mark = tuple[int, datetime]
"""The attempt and when its lease ran out: a renewal in between begins a new suspicion."""


class Suspicion:
    """Remembers which silent attempts were noticed, and when."""

    def __init__(self) -> None:
        self._noticed: dict[str, tuple[Mark, float]] = {}

    def age(self, order_id: str, mark: Mark, now: float) -> float:
        """Return for how many seconds this silence has been noticed; 0 at the first look."""
        known, since = self._noticed.get(order_id, (None, now))
        if known != mark:
            self._noticed[order_id] = (mark, now)
            return 0.0
        return now - since

    def clear(self, order_id: str) -> None:
        """Forget an order that has shown life, or that was dealt with."""
        self._noticed.pop(order_id, None)
