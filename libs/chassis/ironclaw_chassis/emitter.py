"""Send signed records to an openclawdbot, as emitters in the field do."""

from datetime import UTC, datetime
from typing import Any, Literal, Self

import aiohttp
import msgspec
from msgspec import Struct

from ironclaw_contracts.canonical import ecmascript, parse
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

_TIMEOUT_SECONDS = 10.0
_AWAY_STATUS = 503
_REASON_LENGTH_MAX = 200


class Sent(Struct, frozen=True):
    """How a delivery went. `away` is no answer at all, or a 503: nothing was tried, so nothing is used up."""

    outcome: Literal["delivered", "duplicate", "rejected", "failed", "away"]
    reason: str | None = None


class Emitter:
    """One connection pool to one receiver."""

    def __init__(self, base_url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_seconds))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, path: str, envelope: dict[str, Any], secret: str) -> Sent:
        """Deliver an envelope once. A 4xx is final, anything but a 2xx with JSON may be tried again."""
        if self._session is None:
            raise RuntimeError("the emitter is not open")
        body = parse(msgspec.json.encode(envelope))
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign(secret, body),
            TIMESTAMP_HEADER: format_instant(datetime.now(UTC)),
        }
        try:
            async with self._session.post(
                self._base_url + path, data=ecmascript(body), headers=headers, allow_redirects=False
            ) as response:
                return _sent(response.status, await response.read())
        except (aiohttp.ClientConnectionError, TimeoutError, OSError) as error:
            return Sent("away", f"{type(error).__name__}: {error}")
        except aiohttp.ClientError as error:
            return Sent("failed", f"{type(error).__name__}: {error}")


def _sent(status: int, body: bytes) -> Sent:
    if status == _AWAY_STATUS:
        return Sent("away", f"answered {status}: {body[:_REASON_LENGTH_MAX].decode(errors='replace')}")
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return Sent("failed", f"answered {status} without JSON")
    if 200 <= status < 300:
        return Sent("duplicate" if answer.get("status") == "duplicate" else "delivered")
    reason = str(answer.get("reason") or f"answered {status}")
    return Sent("rejected" if 400 <= status < 500 else "failed", reason)
