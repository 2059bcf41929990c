"""Feed the outbox from the ledger, and empty it into openclawdbot, oldest record first, each once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from ironclaw_chassis.emitter import Emitter, Sent
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.signing import SigningSecrets
from ironclaw_co.outbox.narrative import TOLD, idempotency_key, milestone_of
from ironclaw_co.outbox.queue_figures import is_due, summary
from ironclaw_co.store import Outbox
from ironclaw_contracts import demand, milestones
from ironclaw_contracts.demand import Snapshot
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.events import Event
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.outbox import Outgoing
from ironclaw_contracts.transitions import OPEN_PHASES

log = structlog.get_logger()

CURSOR = "milestones"
_TRIES_MAX = 3
_PAUSE_SECONDS = (1.0, 30.0)
_IDLE_SECONDS = 5.0
_BATCH_MAX = 200
_KEPT = timedelta(days=7)


class Emitting:
    """The loops of the outbox."""

    def __init__(
        self,
        ledger: LedgerClient,
        outbox: Outbox,
        emitter: Emitter,
        secrets: SigningSecrets,
        garrison_id: str,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._emitter = emitter
        self._secrets = secrets
        self._garrison_id = garrison_id
        self._filled = asyncio.Event()
        self._last: Snapshot | None = None

    async def tell(self) -> None:
        """Make milestones of events, from where the last process stopped; the first begins at the head."""
        after = await self._outbox.cursor(CURSOR)
        if after is None:
            after = await self._ledger.head()
            await self._outbox.put([], (CURSOR, after))
        async for event in self._ledger.follow(TOLD, after=after):
            await self._outbox.put([_outgoing(event)], (CURSOR, event.seq))
            self._filled.set()

    async def count(self) -> None:
        """Make a demand summary when one is due."""
        now = datetime.now(UTC)
        orders = [order async for order, _ in self._ledger.orders_in(sorted(OPEN_PHASES))]
        snapshot = summary(orders, now, self._garrison_id)
        if not is_due(self._last, snapshot, now):
            return
        record = msgspec.json.encode(snapshot).decode()
        await self._outbox.put(
            [Outgoing(idempotency_key=snapshot.summary_id, channel="demand", at=now, record=record)]
        )
        self._last = snapshot
        self._filled.set()

    async def deliver(self) -> None:
        """Deliver until nothing is left, then wait for more."""
        for _ in range(_BATCH_MAX):
            self._filled.clear()
            record = await self._outbox.next()
            if record is None:
                break
            if not await self._deliver(record):
                return
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._filled.wait()
        except TimeoutError:
            return

    async def tidy(self) -> None:
        """Drop what was delivered long ago."""
        await self._outbox.forget(datetime.now(UTC) - _KEPT)

    def wake(self) -> None:
        """Say that there is something to deliver."""
        self._filled.set()

    async def _deliver(self, record: Outgoing) -> bool:
        """Deliver one record; False when it has to wait, and all others behind it."""
        wait = (record.due_at - datetime.now(UTC)).total_seconds()
        if wait > 0:
            await asyncio.sleep(min(wait, _PAUSE_SECONDS[1]))
        secrets = self._secrets.all(fresh=True)
        if not secrets:
            raise Unavailable("no signing secret: set MILESTONE_SIGNING_SECRET")
        sent = await self._emitter.send(*_envelope(record), secrets[0])
        await self._settle(record, sent)
        return sent.outcome != "away"

    async def _settle(self, record: Outgoing, sent: Sent) -> None:
        tries = record.tries + 1
        pause = min(_PAUSE_SECONDS[0] * 2 ** min(tries, 10), _PAUSE_SECONDS[1])
        key = record.idempotency_key
        match sent.outcome:
            case "delivered" | "duplicate" | "rejected":
                await self._outbox.settle(key, sent.outcome, tries, 0, sent.reason)
            case "away":
                # The receiver is away: nothing was tried, and order is kept by waiting.
                await self._outbox.settle(key, "retrying", record.tries, _PAUSE_SECONDS[0] * 2, sent.reason)
            case "failed" if tries >= _TRIES_MAX:
                await self._outbox.settle(key, "dead-letter", tries, 0, sent.reason)
            case "failed":
                await self._outbox.settle(key, "retrying", tries, pause, sent.reason)
        if sent.outcome not in {"delivered", "duplicate"}:
            log.warning("not delivered", key=key, outcome=sent.outcome, reason=sent.reason)


def _outgoing(event: Event) -> Outgoing:
    milestone = milestone_of(event)
    return Outgoing(
        idempotency_key=idempotency_key(event),
        channel="milestones",
        at=milestone.at,
        record=msgspec.json.encode(milestone).decode(),
    )


def _envelope(record: Outgoing) -> tuple[str, dict[str, Any]]:
    """Return where a record goes and what is sent: the same body at every try."""
    path, name = (
        (milestones.INGEST_PATH, "event")
        if record.channel == "milestones"
        else (demand.INGEST_PATH, "snapshot")
    )
    return path, {
        "idempotencyKey": record.idempotency_key,
        "sentAtUtc": format_instant(record.created_at),
        name: msgspec.json.decode(record.record),
    }
