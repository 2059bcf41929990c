"""Send escalations out by webhook: signed, retried, bounded (Standard Webhooks 1.0).

The signature covers id, time and body, so that a receiver can tell a replay. What could not be delivered
after the last try stays in the list of escalations, where an operator finds it.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from pathlib import Path

import aiohttp
import msgspec
import structlog
from msgspec import Struct

from ironclaw_chassis.escalations import WEBHOOK
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.events import Event, EventType

log = structlog.get_logger()

_PAUSE_SECONDS = (0.5, 60.0)
_TIMEOUT_SECONDS = 10.0
_FINAL_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})


class Cursor(Struct, frozen=True):
    """The last event that was sent out, or given up."""

    seq: int


def signed_headers(event_id: str, body: bytes, secret: bytes, now: int) -> dict[str, str]:
    """Return the headers of a delivery. `now` is in seconds since 1970."""
    signature = hmac.digest(secret, f"{event_id}.{now}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


class Webhook:
    """Follows the ledger and delivers what is routed to the webhook, oldest first."""

    def __init__(
        self, ledger: LedgerClient, url: str, secret: Secret, cursor_path: Path, tries_max: int
    ) -> None:
        self._ledger = ledger
        self._url = url
        self._secret = secret
        self._cursor_path = cursor_path
        self._tries_max = tries_max

    async def run(self) -> None:
        """Deliver for ever, from where the last process stopped; the first one begins at the head."""
        after = await asyncio.to_thread(self._load)
        if after < 0:
            after = await self._ledger.head()
            await asyncio.to_thread(self._save, after)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)) as session:
            async for event in self._ledger.follow([EventType.ESCALATION_RAISED], after=after):
                log.error(
                    "escalation",
                    escalation_id=event.event_id,
                    severity=event.payload.get("severity"),
                    reason=event.payload.get("reason"),
                )
                if self._url and event.payload.get("route") == WEBHOOK:
                    await self._deliver(session, event)
                await asyncio.to_thread(self._save, event.seq)

    async def _deliver(self, session: aiohttp.ClientSession, event: Event) -> None:
        data = {**event.payload, "id": event.event_id}
        body = msgspec.json.encode({"type": "escalation.raised", "timestamp": event.ts, "data": data})
        pause, longest = _PAUSE_SECONDS
        for attempt in range(1, self._tries_max + 1):
            headers = signed_headers(event.event_id, body, self._secret.reveal().encode(), int(time.time()))
            fault = await _post(session, self._url, body, headers)
            if fault is None:
                log.info("escalation sent", escalation_id=event.event_id, tries=attempt)
                return
            reason, final = fault
            log.warning("escalation not sent", escalation_id=event.event_id, tries=attempt, reason=reason)
            if final or attempt == self._tries_max:
                log.error("escalation given up", escalation_id=event.event_id, reason=reason)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _load(self) -> int:
        try:
            return msgspec.json.decode(self._cursor_path.read_bytes(), type=Cursor).seq
        except (FileNotFoundError, msgspec.DecodeError):
            return -1

    def _save(self, seq: int) -> None:
        self._cursor_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        making = self._cursor_path.with_suffix(".new")
        making.write_bytes(msgspec.json.encode(Cursor(seq)))
        making.replace(self._cursor_path)


async def _post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]
) -> tuple[str, bool] | None:
    """Return None when it was delivered, else why not, and whether trying again is useless."""
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status < 300:
                return None
            return f"answered {response.status}", response.status in _FINAL_STATUSES
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"{type(error).__name__}: {error}", False
