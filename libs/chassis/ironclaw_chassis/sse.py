"""Server-sent events: what a handler yields, as it goes over the wire."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator

from msgspec import Struct

MEDIA_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
PING_SECONDS = 15
_BUFFER_BYTES_MAX = 256 * 1024
_BREAK = re.compile(r"\r\n|\r|\n")
_FOLLOWING, _PING = b": following\r\n\r\n", b": ping\r\n\r\n"


class StreamEvent(Struct, frozen=True):
    """One server-sent event, for endpoints of form `events`."""

    id: str
    event: str
    data: str


def frame(event: StreamEvent) -> bytes:
    """Return an event as the specification has it: each line of its data is a field of its own."""
    data = event.data
    if "\n" in data or "\r" in data:
        data = "\r\ndata: ".join(_BREAK.split(data))
    return f"id: {event.id}\r\nevent: {event.event}\r\ndata: {data}\r\n\r\n".encode()


async def chunks(events: AsyncIterator[StreamEvent]) -> AsyncGenerator[bytes]:
    """Yield the events, and a comment at the start and whenever none came for a while.

    Events that are there at once go out as one chunk. The first comment tells a follower that it misses
    nothing from here on, the others notice dead peers.
    """
    buffer = _Buffer()
    filling = asyncio.create_task(buffer.fill(events), name="sse")
    try:
        yield _FOLLOWING
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await buffer.filled.wait()
            except TimeoutError:
                yield _PING
                continue
            chunk = buffer.take()
            if chunk:
                yield chunk
            elif filling.done():
                filling.result()
                return
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)


class _Buffer:
    """Frames that wait to be sent; whoever fills it waits while there are many."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._size = 0
        self._taken = asyncio.Event()
        self.filled = asyncio.Event()
        self._ended = False

    async def fill(self, events: AsyncIterator[StreamEvent]) -> None:
        """Take all events in, and close their source."""
        try:
            async with _closing(events):
                async for event in events:
                    framed = frame(event)
                    self._frames.append(framed)
                    self._size += len(framed)
                    self.filled.set()
                    while self._size > _BUFFER_BYTES_MAX:
                        self._taken.clear()
                        await self._taken.wait()
        finally:
            self._ended = True
            self.filled.set()

    def take(self) -> bytes:
        """Return what waits; nothing once the events have ended."""
        chunk = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        if not self._ended:
            self.filled.clear()
        self._taken.set()
        return chunk


@contextlib.asynccontextmanager
async def _closing(events: AsyncIterator[StreamEvent]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
