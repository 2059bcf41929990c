"""How many event streams may be open at once, whoever opens them."""

from weakref import WeakSet

from ironclaw_contracts.errors import Unavailable


class Slot:
    """The right to one open stream; it is free again when its stream is gone, begun or not."""


class Streams:
    """Hands out slots, up to a number at once."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self._taken: WeakSet[Slot] = WeakSet()

    def take(self) -> Slot:
        """Return a slot. Raises `Unavailable` when all are taken."""
        if len(self._taken) >= self._streams_max:
            raise Unavailable("too many event streams are open", retry_after_seconds=5)
        slot = Slot()
        self._taken.add(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Free a slot at once."""
        self._taken.discard(slot)
