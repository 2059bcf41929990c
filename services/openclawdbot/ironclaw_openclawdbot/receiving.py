"""Take deliveries in, and answer them as the contract says, byte for byte."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall
from ironclaw_chassis.signing import SigningSecrets
from ironclaw_contracts.demand import Snapshot, read_snapshot
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.milestones import Milestone, read_milestone
from ironclaw_openclawdbot.following import Following
from ironclaw_openclawdbot.intake import Channel, Rejection, examine
from ironclaw_openclawdbot.parts import Parts

log = structlog.get_logger()

MILESTONES = Channel[Milestone]("milestones", read_milestone, "invalid milestone event")
DEMAND = Channel[Snapshot]("demand", read_snapshot, "invalid demand summary snapshot")
_SOURCES_MAX = 10_000

Accept = Callable[[str, Any], Awaitable[dict[str, Any]]]
"""Stores a record under its key and returns the answer."""


class SourceLimit:
    """One bucket of tokens a source. Emitters take 429 for a final refusal, so the answer is 503."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, source: str, now: float) -> bool:
        """Take one token. `now` is in seconds of a steady clock."""
        tokens, at = self._buckets.get(source, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        if len(self._buckets) >= _SOURCES_MAX and source not in self._buckets:
            self._buckets.clear()
        self._buckets[source] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


class Receiving:
    """Serves both signed channels."""

    def __init__(
        self,
        parts: Parts,
        secrets: SigningSecrets,
        following: Following,
        limit: SourceLimit,
        replay_window_seconds: int,
    ) -> None:
        self._parts = parts
        self._secrets = secrets
        self._following = following
        self._limit = limit
        self._window = replay_window_seconds

    async def milestone(self, call: ForeignCall) -> ForeignAnswer:
        """Take a milestone in."""

        async def accept(key: str, record: Milestone) -> dict[str, Any]:
            new, milestone_id = await self._parts.milestones.put((key, record))
            if new:
                self._following.wake()
            return {"ok": True, "status": _status(new), "milestoneId": milestone_id}

        return await self._receive(call, MILESTONES, accept)

    async def demand(self, call: ForeignCall) -> ForeignAnswer:
        """Take a demand summary in."""

        async def accept(key: str, record: Snapshot) -> dict[str, Any]:
            new, summary_id = await self._parts.store.accept_demand(key, record)
            return {"ok": True, "status": _status(new), "summaryId": summary_id}

        return await self._receive(call, DEMAND, accept)

    async def _receive(
        self,
        call: ForeignCall,
        channel: Channel[Any],
        accept: Accept,
    ) -> ForeignAnswer:
        if not self._limit.take(call.source, time.monotonic()):
            return _away("too many deliveries from one source")
        now = datetime.now(UTC)
        secrets = self._secrets.all()
        outcome = examine(channel, call.headers, call.body, secrets, now, self._window)
        if isinstance(outcome, Rejection) and outcome.status == 401:
            newest = self._secrets.all(fresh=True)  # a secret may have been rotated this moment
            if newest != secrets:
                outcome = examine(channel, call.headers, call.body, newest, now, self._window)
        try:
            if isinstance(outcome, Rejection):
                return await self._reject(channel.name, outcome)
            return _json(200, await accept(outcome.idempotency_key, outcome.record))
        except Unavailable as error:
            log.warning("delivery not taken in", channel=channel.name, reason=error.message)
            return _away("the store is away")

    async def _reject(self, channel: str, rejection: Rejection) -> ForeignAnswer:
        log.info("delivery rejected", channel=channel, reason=rejection.reason)
        if rejection.recorded:
            await self._parts.store.bury(channel, rejection.reason, rejection.idempotency_key)
        return _json(rejection.status, {"ok": False, "status": "rejected", "reason": rejection.reason})


def _status(new: bool) -> str:
    return "accepted" if new else "duplicate"


def _away(reason: str) -> ForeignAnswer:
    answer = _json(503, {"ok": False, "status": "rejected", "reason": reason})
    return msgspec.structs.replace(answer, headers={"Retry-After": "2"})


def _json(status: int, value: object) -> ForeignAnswer:
    return ForeignAnswer(status, msgspec.json.encode(value))
