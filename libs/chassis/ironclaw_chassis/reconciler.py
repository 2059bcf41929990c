"""The reconciler: a keyed work queue fed by hints and by a timer.

Every actor of the fleet reads a snapshot, computes what is missing, and does it idempotently (DESIGN, "How
state moves"). This module owns when: one key is never worked on twice at once, a hint during work means one
more round, a failure is retried with backoff, and the timer finds what no hint announced.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from ironclaw_chassis.metrics import LOOP_FAILURES, RECONCILE_WAITING, RECONCILED
from ironclaw_contracts.errors import Problem

log = structlog.get_logger()

Reconcile = Callable[[str], Awaitable[None]]
ListKeys = Callable[[], AsyncIterator[str]]

_BACKOFF_SECONDS = (0.1, 10.0)


class Reconciler:
    """Runs `reconcile(key)` for every hinted or listed key.

    `list_keys` yields all keys that may need work; it runs every `period_seconds`, and every `idle_seconds`
    as long as it yields none.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        list_keys: ListKeys,
        *,
        period_seconds: float,
        idle_seconds: float | None = None,
        concurrency: int = 8,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._list_keys = list_keys
        self._period_seconds = period_seconds
        self._idle_seconds = period_seconds if idle_seconds is None else max(idle_seconds, period_seconds)
        self._concurrency = concurrency
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._sweep_due = asyncio.Event()

    def nudge(self, key: str) -> None:
        """Hint that a key may need work."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)
            RECONCILE_WAITING.labels(self.name).set(self._queue.qsize())

    def sweep_now(self) -> None:
        """Have the timer list all keys at once."""
        self._sweep_due.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the workers and the timer for as long as the context is open."""
        loops = [self._work() for _ in range(self._concurrency)]
        tasks = [
            asyncio.create_task(loop, name=f"{self.name}-reconciler") for loop in (*loops, self._sweep())
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            RECONCILE_WAITING.labels(self.name).set(self._queue.qsize())
            self._queued.discard(key)
            self._working.add(key)
            try:
                await self._reconcile(key)
                self._failures.pop(key, None)
                RECONCILED.labels(self.name, "done").inc()
            except Exception as error:
                self._retry_later(key, error)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.nudge(key)

    def _retry_later(self, key: str, error: Exception) -> None:
        RECONCILED.labels(self.name, "failed").inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_BACKOFF_SECONDS[0] * 2 ** (failures - 1), _BACKOFF_SECONDS[1])
        expected = isinstance(error, Problem)
        log.log(
            30 if expected else 40,
            "reconciling failed",
            reconciler=self.name,
            key=key,
            retry_seconds=delay,
            reason=str(error),
            exc_info=None if expected else error,
        )
        asyncio.get_running_loop().call_later(delay, self.nudge, key)

    async def _sweep(self) -> None:
        while True:
            self._sweep_due.clear()
            pause = self._idle_seconds
            try:
                async for key in self._list_keys():
                    self.nudge(key)
                    pause = self._period_seconds
            except Exception as error:
                log.warning("sweep failed", reconciler=self.name, reason=str(error))
                pause = self._period_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sweep_due.wait()


async def forever(name: str, step: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    """Run a loop of the lifespan: `step` again and again, its failures logged, until cancelled."""
    while True:
        try:
            await step()
        except Exception as error:
            LOOP_FAILURES.labels(name).inc()
            log.warning("loop failed", loop=name, reason=str(error), exc_info=not isinstance(error, Problem))
        await asyncio.sleep(pause_seconds)


@asynccontextmanager
async def background(*loops: Awaitable[None]) -> AsyncGenerator[None]:
    """Own loops for as long as the context is open; they are cancelled at its end."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
