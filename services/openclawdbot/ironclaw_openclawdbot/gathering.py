"""Group commit: deliveries that come in while a statement is under way share the next one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import structlog

from ironclaw_contracts.errors import Problem, Unavailable

log = structlog.get_logger()

Item = TypeVar("Item")
Result = TypeVar("Result")

_GROUP_MAX = 256
_QUEUE_MAX = 4_096


class Gathering(Generic[Item, Result]):
    """Calls `store` with what has gathered, and gives each caller its own result."""

    def __init__(self, store: Callable[[list[Item]], Awaitable[list[Result]]]) -> None:
        self._store = store
        self._queue: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue(_QUEUE_MAX)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Store for as long as the context is open."""
        task = asyncio.create_task(self._run(), name="gathering")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            while not self._queue.empty():
                self._queue.get_nowait()[1].set_exception(Unavailable("the service is stopping"))

    async def put(self, item: Item) -> Result:
        """Return the result once the item is durable. Raises `Unavailable`."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((item, result))
        except asyncio.QueueFull:
            raise Unavailable("more comes in than can be stored", retry_after_seconds=2) from None
        return await result

    async def _run(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < _GROUP_MAX and not self._queue.empty():
                group.append(self._queue.get_nowait())
            try:
                results = await self._store([item for item, _ in group])
                settled = list(zip(group, results, strict=True))
            except asyncio.CancelledError:
                _fail(group, "the service is stopping")
                raise
            except Problem as error:
                _fail(group, error.message)
                continue
            except Exception:
                # The loop outlives what one group ran into: without it nothing would be answered again.
                log.exception("a group was not stored", size=len(group))
                _fail(group, "this could not be stored")
                continue
            for (_, waiting), result in settled:
                if not waiting.done():
                    waiting.set_result(result)


def _fail(group: list[tuple[Any, asyncio.Future[Any]]], reason: str) -> None:
    """Tell every caller of a group that nothing is known to be stored; it may send again."""
    for _, waiting in group:
        if not waiting.done():
            waiting.set_exception(Unavailable(reason))
