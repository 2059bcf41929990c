"""Tailing readers: every committed event, in order, without gaps, from any cursor."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import msgspec
import structlog

from ironclaw_chassis.sse import Frames, StreamEvent
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.errors import Problem, Unavailable
from ironclaw_contracts.events import Event
from ironclaw_ledger.metrics import STREAMS_OPEN
from ironclaw_ledger.store import Store

log = structlog.get_logger()

_RECENT_MAX = 1_024
_PAGE = 500
_FRAMES_PAGE = 1_000
_POLL_SECONDS = 5.0
_LISTEN_CHECK_SECONDS = 5.0
_RELISTEN_SECONDS = 1.0
_STANDS = StreamEvent(id="", event="", data="")


class Stream:
    """Wakes readers on each commit, of this replica at once, of others by LISTEN; a timer covers the rest.

    One look at the database serves all readers: what they wait for is a head beyond their cursor.
    """

    def __init__(self, store: Store, streams_max: int) -> None:
        self._store = store
        self._streams_max = streams_max
        self._open = 0
        self._recent: deque[Event] = deque(maxlen=_RECENT_MAX)
        self._head = 0
        self._beat = asyncio.Event()

    @property
    def seq_max(self) -> int:
        """The highest seq that this replica committed; 0 when it committed none yet."""
        return self._recent[-1].seq if self._recent else 0

    def committed(self, events: list[Event]) -> None:
        """Take a group that this replica committed, and wake the readers."""
        if self._recent and self.seq_max + 1 != events[0].seq:
            self._recent.clear()  # another replica wrote in between
        self._recent.extend(events)
        self._reached(self.seq_max)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hear of the other replicas while the context is open."""
        tasks = [
            asyncio.create_task(self._listen(), name="ledger-listen"),
            asyncio.create_task(self._poll(), name="ledger-poll"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(
        self, after: int, types: list[str] | None, run_id: str | None
    ) -> AsyncGenerator[StreamEvent | Frames]:
        """Return a stream of the events after a cursor, as they are committed; -1 starts at the head.

        Where many events are missing, and none is left out, they come as whole pages.

        Once this returns, the stream stands: no event from here on passes it by. Raises `Unavailable` when
        too many streams are open.
        """
        events = self._tail(after, types, run_id)
        await anext(events)
        return events

    async def _tail(
        self, after: int, types: list[str] | None, run_id: str | None
    ) -> AsyncGenerator[StreamEvent | Frames]:
        """Yield once when the cursor stands, then the events."""
        if self._open >= self._streams_max:
            raise Unavailable("too many event streams are open", retry_after_seconds=5)
        self._open += 1
        STREAMS_OPEN.inc()
        try:
            head = await self._look()
            after = head if after < 0 else after
            yield _STANDS
            while True:
                beat = self._beat
                if types is None and run_id is None and self._is_far(after):
                    async with contextlib.aclosing(self._pages(after)) as pages:
                        async for page in pages:
                            after += _FRAMES_PAGE
                            yield page
                events, after_next = await self._next(after, types, run_id)
                for event in events:
                    yield as_stream_event(event)
                if after_next > after:
                    after = after_next
                    continue
                await beat.wait()
        finally:
            self._open -= 1
            STREAMS_OPEN.dec()

    def _is_far(self, after: int) -> bool:
        """Say whether a cursor is a whole page behind, and behind what is held here."""
        return self._head - after >= _FRAMES_PAGE and not self._is_held(after)

    def _is_held(self, after: int) -> bool:
        return bool(self._recent) and self._recent[0].seq <= after + 1 <= self.seq_max

    async def _pages(self, after: int) -> AsyncGenerator[Frames]:
        """Yield the whole pages after a cursor that is far behind; the next is read while one is sent."""
        reading = asyncio.ensure_future(self._store.frames(after, _FRAMES_PAGE))
        try:
            while True:
                page = await reading
                after += _FRAMES_PAGE
                is_far = self._is_far(after)
                if is_far:
                    reading = asyncio.ensure_future(self._store.frames(after, _FRAMES_PAGE))
                yield Frames(page)
                if not is_far:
                    return
        finally:
            reading.cancel()

    async def _next(
        self, after: int, types: list[str] | None, run_id: str | None
    ) -> tuple[Sequence[Event], int]:
        """Return the next events that match, and the cursor after all that was looked at."""
        head = self._head
        if head <= after:
            return [], after
        if self._is_held(after):
            seq_max = self.seq_max
            fresh = [
                event
                for event in self._since(after)
                if (types is None or event.type in types) and run_id in (None, event.run_id)
            ]
            return fresh, seq_max
        query = EventsQuery(after=after, limit=_PAGE, run_id=run_id)
        events = await self._store.events(query, types)
        # Fewer than a page: everything up to the head that was known before it has been looked at.
        return events, events[-1].seq if len(events) == _PAGE else max(head, *(e.seq for e in events), after)

    def _since(self, after: int) -> list[Event]:
        """Return the recent events after a cursor; the newest are few, so it looks from the end."""
        found: list[Event] = []
        for event in reversed(self._recent):
            if event.seq <= after:
                break
            found.append(event)
        found.reverse()
        return found

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.listening(self._reached) as check:
                    await self._look()  # whatever was committed while nobody listened
                    while True:
                        await asyncio.sleep(_LISTEN_CHECK_SECONDS)
                        await check()
            except Problem as error:
                log.warning("not listening to other replicas", reason=error.message)
            except Exception as error:
                log.error("listening to other replicas failed", exc_info=error)
            await asyncio.sleep(_RELISTEN_SECONDS)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._open:
                with contextlib.suppress(Unavailable):  # said by whoever asks the ledger for something
                    await self._look()

    async def _look(self) -> int:
        head, _ = await self._store.head()
        self._reached(head)
        return head

    def _reached(self, head: int) -> None:
        if head > self._head:
            self._head = head
            beat, self._beat = self._beat, asyncio.Event()
            beat.set()


def as_stream_event(event: Event) -> StreamEvent:
    """Return an event as a server-sent event; its id is the seq, so that `Last-Event-ID` resumes."""
    return StreamEvent(id=str(event.seq), event=event.type.value, data=msgspec.json.encode(event).decode())
