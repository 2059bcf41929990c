"""The live channel: milestones as they are accepted, from this process or another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.errors import Unavailable
from ironclaw_openclawdbot.parts import Parts
from ironclaw_openclawdbot.store import Position

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
        """Return the milestones after a key, or from now on. Raises `Unavailable` when too many follow."""
        if self.followers >= self._streams_max:
            raise Unavailable("too many streams are open", retry_after_seconds=5)
        store = self._parts.store
        known = await store.position_of(last_event_id) if last_event_id else None
        return self._events(known or await store.live_end())

    async def _events(self, position: Position) -> AsyncIterator[StreamEvent]:
        self.followers += 1
        try:
            while True:
                woken = self._woken  # taken before the look, so that nothing accepted after it is missed
                for live in await self._parts.store.live_after(position):
                    position = live.position
                    yield StreamEvent(id=live.idempotency_key, event="milestone", data=live.event)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await woken.wait()
        finally:
            self.followers -= 1
