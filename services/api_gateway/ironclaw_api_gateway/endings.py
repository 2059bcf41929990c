"""Wait for runs to end: one stream from the ledger for all waiters, and a look at the snapshot at times."""

import asyncio
from collections import defaultdict

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.events import EventType
from ironclaw_contracts.snapshots import RunSnapshot

ENDINGS = (EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED)
_LOOK_SECONDS = 3.0


class Endings:
    """Tells waiters when their run has ended."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def follow(self) -> None:
        """Follow the endings of all runs; one pass of a loop that the lifespan repeats."""
        async for event in self._ledger.follow(ENDINGS):
            for waiter in self._waiting.get(event.run_id or "", ()):
                waiter.set()

    async def wait(self, run_id: str, seconds: float) -> RunSnapshot:
        """Return the run once it has ended, or as it is when the time is up."""
        waiter = asyncio.Event()
        self._waiting[run_id].add(waiter)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                run = (await self._ledger.run(run_id)).run
                left = deadline - asyncio.get_running_loop().time()
                if run.status is not RunStatus.OPEN or left <= 0:
                    return run
                try:
                    async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                        await waiter.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting[run_id].discard(waiter)
            if not self._waiting[run_id]:
                del self._waiting[run_id]
