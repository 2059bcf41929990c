"""Tailing readers: every committed event, in order, without gaps, from any cursor."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import structlog

from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.errors import Problem, Unavailable
from ironclaw_contracts.events import Event
from ironclaw_ledger.store import Store

log = structlog.get_logger()

_RECENT_MAX = 4_096
_PAGE = 500
_POLL_SECONDS = 5.0
_RELISTEN_SECONDS = 1.0


class Stream:
    """Wakes readers on each commit, of this replica at once, of others by LISTEN; a timer covers the rest."""

    def __init__(self, store: Store, streams_max: int) -> None:
        self._store = store
        self._streams_max = streams_max
        self._open = 0
        self._recent: deque[Event] = deque(maxlen=_RECENT_MAX)
        self._beat = asyncio.Event()

    def committed(self, events: list[Event]) -> None:
        """Take a group that this replica committed, and wake the readers."""
        if self._recent and self._recent[-1].seq + 1 != events[0].seq:
            self._recent.clear()  # another replica wrote in between
        self._recent.extend(events)
        self._wake()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Listen to the other replicas while the context is open."""
        task = asyncio.create_task(self._listen(), name="ledger-listen")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def tail(
        self, after: int, types: list[str] | None, run_id: str | None
    ) -> AsyncIterator[StreamEvent]:
        """Yield events after a cursor as they are committed; -1 starts at the head.

        Raises `Unavailable` when too many streams are open.
        """
        if self._open >= self._streams_max:
            raise Unavailable("too many event streams are open", retry_after_seconds=5)
        if after < 0:
            after, _ = await self._store.head()
        self._open += 1
        try:
            while True:
                beat = self._beat
                events, after_next = await self._next(after, types, run_id)
                for event in events:
                    yield as_stream_event(event)
                if after_next > after:
                    after = after_next
                    continue
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await beat.wait()
                except TimeoutError:
                    continue
        finally:
            self._open -= 1

    async def _next(self, after: int, types: list[str] | None, run_id: str | None) -> tuple[list[Event], int]:
        """Return the next events that match, and the cursor after all that was looked at."""
        recent = self._recent
        if recent and recent[0].seq <= after + 1 <= recent[-1].seq:
            looked_at = [event for event in recent if event.seq > after]
            matching = [
                e for e in looked_at if (types is None or e.type in types) and run_id in (None, e.run_id)
            ]
            return matching, looked_at[-1].seq
        head, _ = await self._store.head()
        if head <= after:
            return [], after
        query = EventsQuery(after=after, limit=_PAGE, run_id=run_id)
        events = await self._store.events(query, types)
        # Fewer than a page: everything up to the head that was read before it has been looked at.
        return events, events[-1].seq if len(events) == _PAGE else max(head, *(e.seq for e in events), after)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.listening(lambda *_: self._wake()):
                    while True:
                        await asyncio.sleep(_POLL_SECONDS)
                        await self._store.ping()
            except Problem as error:
                log.warning("not listening to other replicas", reason=error.message)
            await asyncio.sleep(_RELISTEN_SECONDS)

    def _wake(self) -> None:
        beat, self._beat = self._beat, asyncio.Event()
        beat.set()


def as_stream_event(event: Event) -> StreamEvent:
    """Return an event as a server-sent event; its id is the seq, so that `Last-Event-ID` resumes."""
    return StreamEvent(id=str(event.seq), event=event.type.value, data=msgspec.json.encode(event).decode())
