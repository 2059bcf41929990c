"""Group commit: deliveries that come in while a statement is under way share the next one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from ironclaw_contracts.errors import Problem, Unavailable

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
            except (Problem, asyncio.CancelledError) as error:
                failure = error if isinstance(error, Problem) else Unavailable("the service is stopping")
                for _, waiting in group:
                    if not waiting.done():
                        waiting.set_exception(type(failure)(failure.message))
                if not isinstance(error, Problem):
                    raise
                continue
            for (_, waiting), result in zip(group, results, strict=True):
                if not waiting.done():
                    waiting.set_result(result)
