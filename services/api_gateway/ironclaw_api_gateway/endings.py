"""Wait for runs to end: one stream from the ledger for all waiters, and a look at the snapshot at times."""

import asyncio
import contextlib
from collections.abc import Generator
from contextlib import contextmanager

import structlog

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import Event, EventType, typed_payload
from ironclaw_contracts.folding import fold_run
from ironclaw_contracts.snapshots import RunSnapshot

log = structlog.get_logger()

ENDINGS = (EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED)
WAITING_MAX = 1_000
_LOOK_SECONDS = 3.0
_LOOK_ANSWER_SECONDS = 5.0


class Hint(asyncio.Event):
    """Set when a run may have ended; `ending` is the event by which it has, where that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.ending: Event | None = None


class Endings:
    """Tells waiters when their run has ended."""

    def __init__(self, ledger: LedgerClient, waiting_max: int = WAITING_MAX) -> None:
        self._ledger = ledger
        self._waiting_max = waiting_max
        self._waiting = 0
        self._hints: dict[str, set[Hint]] = {}

    async def follow(self) -> None:
        """Follow the endings of all runs; one pass of a loop that the lifespan repeats."""
        async for event in self._ledger.follow(ENDINGS, connected=self._hint_all):
            self._hint(event.run_id or "", event)

    @contextmanager
    def hinted(self, run_id: str) -> Generator[Hint]:
        """Give out a hint that is set when the run may have ended, while the context is open.

        Opened before the run is made, so that no ending passes by. Raises `Unavailable` when too many wait.
        """
        if self._waiting >= self._waiting_max:
            raise Unavailable(
                f"{self._waiting_max} chats wait for their reply already; ask with mode 'async'",
                retry_after_seconds=5,
            )
        hint = Hint()
        self._waiting += 1
        self._hints.setdefault(run_id, set()).add(hint)
        try:
            yield hint
        finally:
            self._waiting -= 1
            self._hints[run_id].discard(hint)
            if not self._hints[run_id]:
                del self._hints[run_id]

    async def wait(self, run: RunSnapshot, hint: Hint, deadline: float) -> RunSnapshot:
        """Return the run once it has ended, or as last seen when the loop's clock reaches the deadline.

        Where the stream told the ending, only what an ending says is newer than the run that was given.

        While the ledger is away it goes on waiting: the run exists, and an error would hide its id.
        """
        clock = asyncio.get_running_loop().time
        while run.status is RunStatus.OPEN and (left := deadline - clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await hint.wait()
            hint.clear()
            ending = hint.ending
            run = _after(run, ending) if ending is not None else await self._look(run)
        return run

    async def _look(self, run: RunSnapshot) -> RunSnapshot:
        try:
            async with asyncio.timeout(_LOOK_ANSWER_SECONDS):
                return (await self._ledger.run(run.run_id)).run
        except (Unavailable, TimeoutError) as error:
            log.warning("run not seen", run_id=run.run_id, reason=str(error) or "no answer in time")
            return run

    def _hint(self, run_id: str, ending: Event | None = None) -> None:
        for hint in self._hints.get(run_id, ()):
            hint.ending = ending
            hint.set()

    def _hint_all(self) -> None:
        """Have every waiter look: an ending may have passed before the stream stood."""
        for run_id in self._hints:
            self._hint(run_id)


def _after(run: RunSnapshot, ending: Event) -> RunSnapshot:
    return fold_run(run, ending, typed_payload(ending.type, ending.payload))
