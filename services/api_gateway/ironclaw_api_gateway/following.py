"""A run's events as they happen, for a client that watches."""

from collections.abc import AsyncIterator

import msgspec

from ironclaw_api_gateway.endings import ENDINGS
from ironclaw_api_gateway.streams import Slot, Streams
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.enums import RunStatus


class Following:
    """Streams runs to clients."""

    def __init__(self, ledger: LedgerClient, streams: Streams) -> None:
        self._ledger = ledger
        self._streams = streams

    async def run(self, run_id: str, after: int) -> AsyncIterator[StreamEvent]:
        """Return the stream of a run's events after a seq; it ends with the run.

        Raises `NotFound`, or `Unavailable` when too many streams are open.
        """
        slot = self._streams.take()
        run = (await self._ledger.run(run_id)).run
        if run.status is not RunStatus.OPEN and run.last_seq <= after:
            return _nothing()
        return self._stream(slot, run_id, after)

    async def relay(self, lines: AsyncIterator[bytes]) -> AsyncIterator[StreamEvent]:
        """Return another service's stream of events, given line by line. Raises `Unavailable` as above.

        Every stream begins with a comment; a refusal comes in its place and is answered as one.
        """
        slot = self._streams.take()
        await anext(lines, None)
        return self._relayed(slot, lines)

    async def _relayed(self, slot: Slot, lines: AsyncIterator[bytes]) -> AsyncIterator[StreamEvent]:
        fields: dict[str, str] = {}
        try:
            async for line in lines:
                name, _, value = line.decode().strip().partition(":")
                if name:
                    fields[name] = value.strip()
                elif "data" in fields:
                    yield StreamEvent(fields.get("id", ""), fields.get("event", "message"), fields["data"])
                    fields = {}
        finally:
            self._streams.give_back(slot)

    async def _stream(self, slot: Slot, run_id: str, after: int) -> AsyncIterator[StreamEvent]:
        try:
            async for event in self._ledger.follow(run_id=run_id, after=after):
                data = msgspec.json.encode(event).decode()
                yield StreamEvent(id=str(event.seq), event=event.type.value, data=data)
                if event.type in ENDINGS:
                    return
        finally:
            self._streams.give_back(slot)


async def _nothing() -> AsyncIterator[StreamEvent]:
    return
    yield
