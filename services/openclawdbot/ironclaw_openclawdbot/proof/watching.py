"""Watch the nodes: tell followers of every change, and a person when one of ours has fallen silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.enums import Severity
from ironclaw_contracts.errors import Unavailable
from ironclaw_openclawdbot.proof.showing import TTL_BEATS, view_of
from ironclaw_openclawdbot.proof.store import ProofStore, Standing

_LOOK_SECONDS = 0.5
"""A node's silence is seen this long after its TTL while anybody follows; else after one of the next two."""
_ALONE_SECONDS_MAX = 2.0
_LOOKS_A_HEARTBEAT = 15
_PAUSE_SECONDS_MIN = 2.0


class Silence(Struct, frozen=True):
    """A node of ours that should have been heard. `seq_no` tells one silence from the next."""

    node_id: str
    label: str
    seq_no: int | None
    heard_at: datetime


def silences(
    standings: list[Standing], now: datetime, watching_since: datetime, heartbeat_seconds: float
) -> list[Silence]:
    """Return which nodes of ours have fallen silent. Pure.

    A node could not be heard before this watch began, so its time counts from there at the earliest.
    """
    ttl = timedelta(seconds=TTL_BEATS * heartbeat_seconds)
    return [
        Silence(s.node_id, s.label, s.seq_no, s.heard_at)
        for s in standings
        if s.ours
        and s.heard_at is not None
        and s.status != "offline"
        and now > max(s.heard_at, watching_since) + ttl
    ]


def watch_since(since: datetime, looked_at: datetime, now: datetime, heartbeat_seconds: float) -> datetime:
    """Return since when there is a watch. Pure.

    One that did not look for a heartbeat's time was stopped, or without its database: no node could be heard
    meanwhile, so it begins anew rather than call all of them silent.
    """
    pause = timedelta(seconds=max(heartbeat_seconds, _PAUSE_SECONDS_MIN))
    return now if now - looked_at > pause else since


class NodeWatch:
    """Looks at all nodes: twice a second while anybody follows, who hears what changed, else less often."""

    def __init__(
        self, store: ProofStore, escalations: Escalations, heartbeat_seconds: float, streams_max: int
    ) -> None:
        self._store = store
        self._escalations = escalations
        self._heartbeat_seconds = heartbeat_seconds
        self._streams_max = streams_max
        self._since = self._looked_at = datetime.now(UTC)
        self._raised: set[tuple[str, int | None]] = set()
        self._views: dict[str, api.NodeView] = {}
        self._changed = asyncio.Event()
        self._followers = 0
        self._followed = asyncio.Event()

    async def look(self) -> None:
        """Look once, then pause."""
        now = datetime.now(UTC)
        standings = await self._store.nodes()
        self._since = watch_since(self._since, self._looked_at, now, self._heartbeat_seconds)
        self._looked_at = now
        views = {s.node_id: view_of(s, now, self._heartbeat_seconds) for s in standings}
        if views != self._views:
            self._views = views
            self._changed.set()
            self._changed = asyncio.Event()
        for silence in silences(standings, now, self._since, self._heartbeat_seconds):
            await self._escalate(silence)
        await self._pause()

    async def _pause(self) -> None:
        if self._followers:
            await asyncio.sleep(_LOOK_SECONDS)
            return
        self._followed.clear()
        alone = min(self._heartbeat_seconds / _LOOKS_A_HEARTBEAT, _ALONE_SECONDS_MAX)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(alone, _LOOK_SECONDS)):
                await self._followed.wait()

    async def follow(self) -> AsyncIterator[StreamEvent]:
        """Return all nodes as they are, then each that changes. Raises `Unavailable` when too many follow."""
        if self._followers >= self._streams_max:
            raise Unavailable("too many streams are open", retry_after_seconds=5)
        return self._events()

    async def _events(self) -> AsyncIterator[StreamEvent]:
        self._followers += 1
        self._followed.set()
        seen: dict[str, api.NodeView] = {}
        try:
            while True:
                changed = self._changed  # taken before the look, so that nothing after it is missed
                views = self._views
                for node_id, view in views.items():
                    if seen.get(node_id) != view:
                        data = msgspec.json.encode(view).decode()
                        yield StreamEvent(id=f"{node_id}.{view.seq_no or 0}", event="node", data=data)
                seen = views
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS * 20):
                        await changed.wait()
        finally:
            self._followers -= 1

    async def _escalate(self, silence: Silence) -> None:
        mark = (silence.node_id, silence.seq_no)
        if mark in self._raised:
            return
        name = silence.label or silence.node_id
        await self._escalations.raise_once(
            Severity.HIGH,
            f"node {name}",
            f"node {name} has sent no heartbeat since {silence.heard_at.isoformat(timespec='seconds')}",
            episode=f"{silence.node_id}:{silence.seq_no}",
            evidence={"node_id": silence.node_id, "seq_no": silence.seq_no},
        )
        self._raised.add(mark)
