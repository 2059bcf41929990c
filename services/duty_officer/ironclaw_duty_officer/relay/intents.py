"""Intents on their way: kept in the outbox until the validator has answered for good."""

import asyncio
from typing import Any

import msgspec
import structlog

from ironclaw_contracts.endpoints.duty_officer_relay import RelayedIntent
from ironclaw_contracts.errors import BadRequest, NotFound, Problem, Unavailable
from ironclaw_contracts.poi.messages import BadMessage, parse, read_announcement
from ironclaw_duty_officer.relay.heartbeats import believed
from ironclaw_duty_officer.relay.session import ValidatorSession
from ironclaw_duty_officer.relay.store import IntentOutbox, Waiting

log = structlog.get_logger()

EVENT = "poi/announce"
TOOL = "poi_announce"
_WAIT_SECONDS = 2.0
_REVIEW_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_BATCH = 50


class IntentRelay:
    """Takes intents in and carries them; safe to stop anywhere, since a repeat gives the stored ACK."""

    def __init__(self, session: ValidatorSession, outbox: IntentOutbox) -> None:
        self._session = session
        self._outbox = outbox
        self._wake = asyncio.Event()
        self._answered = asyncio.Event()

    async def take(self, message: dict[str, Any]) -> RelayedIntent:
        """Take an intent; return the newest version held, with its ACK when one came in time.

        Raises `BadRequest` naming the field of a malformed one.
        """
        try:
            announcement = read_announcement(parse(msgspec.json.encode(message)))
        except BadMessage as error:
            raise BadRequest(str(error)) from error
        await self._outbox.put(announcement)
        self._wake.set()
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while True:
                    answered = self._answered
                    held = await self.newest(announcement.intent_id)
                    if held.receipt is not None:
                        return held
                    await answered.wait()
        except TimeoutError:
            return await self.newest(announcement.intent_id)

    async def newest(self, intent_id: str) -> RelayedIntent:
        """Return the newest version of an intent. Raises `NotFound`."""
        held = await self._outbox.newest(intent_id)
        if held is None:
            raise NotFound(f"the relay holds no intent {intent_id!r}")
        return held

    async def count_waiting(self) -> int:
        """Return how many intents have no answer yet."""
        return await self._outbox.count_waiting()

    async def deliver(self) -> None:
        """Send what is due, in order; wait for more, or for a while."""
        await self._session.connected.wait()
        self._wake.clear()
        due = await self._outbox.due(_BATCH)
        for waiting in due:
            await self._send(waiting)
        if due:
            self._answered.set()
            self._answered = asyncio.Event()
        if len(due) < _BATCH:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _send(self, waiting: Waiting) -> None:
        announcement = read_announcement(waiting.message)
        try:
            answer = await self._session.call(TOOL, {"event": EVENT, **waiting.message})
            receipt = believed(answer, announcement, self._session)
        except Unavailable:
            raise
        except Problem as problem:
            log.error("an intent has no valid answer", intent_id=waiting.intent_id, reason=problem.message)
            return
        await self._outbox.settle(waiting, receipt, _REVIEW_SECONDS)
