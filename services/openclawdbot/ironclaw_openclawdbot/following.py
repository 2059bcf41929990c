"""The live channel: milestones as they are accepted, from this process or another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.errors import Unavailable
from ironclaw_openclawdbot.parts import Parts

_POLL_SECONDS = 1.0


class Following:
    """Serves followers; a wake-up makes them prompt, a poll finds what other replicas accepted."""

    def __init__(self, parts: Parts, streams_max: int) -> None:
        self._parts = parts
        self._streams_max = streams_max
        self._woken = asyncio.Event()
        self.followers = 0

    def wake(self) -> None:
        """Say that a milestone was accepted here; every follower hears of it."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def follow(self, last_event_id: str) -> AsyncIterator[StreamEvent]:
        """Return the milestones after a key, or from now on. Raises `Unavailable` when too many follow.

        `last_event_id` is the header as it came.
        """
        if self.followers >= self._streams_max:
            raise Unavailable("too many streams are open", retry_after_seconds=5)
        store = self._parts.store
        key = sent_key(last_event_id)
        return self._events(await store.live_place(key) if key else await store.live_end())

    async def _events(self, place: int) -> AsyncIterator[StreamEvent]:
        self.followers += 1
        try:
            while True:
                woken = self._woken  # taken before the look, so that nothing accepted after it is missed
                for live in await self._parts.store.live_after(place):
                    place = live.seq
                    yield StreamEvent(id=live.idempotency_key, event="milestone", data=live.event)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await woken.wait()
        finally:
            self.followers -= 1


def sent_key(last_event_id: str) -> str:
    """Return the key that a follower means: browsers send it in UTF-8, headers are read as Latin-1."""
    try:
        return last_event_id.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return last_event_id
