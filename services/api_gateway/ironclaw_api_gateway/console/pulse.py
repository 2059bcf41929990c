"""The pulse: one stream from the ledger wakes every open page that it concerns."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from ironclaw_chassis.ledger import LedgerClient


class Ear:
    """One listener: of one run, or of everything while `run_id` is None."""

    def __init__(self) -> None:
        self.run_id: str | None = None
        self.woken = asyncio.Event()


class Pulse:
    """Wakes listeners. A hint that is lost costs a page its period, never its truth."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger
        self._ears: set[Ear] = set()

    async def follow(self) -> None:
        """Follow all events; one pass of a loop that the lifespan repeats."""
        async for event in self._ledger.follow(connected=self._wake_all):
            for ear in self._ears:
                if ear.run_id in {None, event.run_id}:
                    ear.woken.set()

    @contextmanager
    def listening(self) -> Generator[Ear]:
        """Give out an ear for as long as the context is open."""
        ear = Ear()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    def _wake_all(self) -> None:
        for ear in self._ears:
            ear.woken.set()
