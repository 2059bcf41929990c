"""Heartbeats on their way: the newest of each node is sent, and its ACK handed back."""

import asyncio
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from ironclaw_contracts.errors import BadRequest, Problem, Unavailable
from ironclaw_contracts.poi.messages import BadMessage, Heartbeat, parse, read_heartbeat
from ironclaw_contracts.poi.receipts import Receipt
from ironclaw_duty_officer.relay.receipts import doubt
from ironclaw_duty_officer.relay.session import ValidatorSession

log = structlog.get_logger()

EVENT = "availability/heartbeat"
TOOL = "availability_heartbeat"
_WAIT_SECONDS = 3.0
_AT_ONCE_MAX = 8


class _Pending(Struct):
    heartbeat: Heartbeat
    answer: "asyncio.Future[Receipt | None]"


class HeartbeatRelay:
    """Holds one heartbeat a node; a newer one takes its place."""

    def __init__(self, session: ValidatorSession) -> None:
        self._session = session
        self._pending: dict[str, _Pending] = {}
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many nodes have a heartbeat that is not acknowledged."""
        return len(self._pending)

    async def take(self, message: dict[str, Any]) -> Receipt | None:
        """Take a heartbeat; return its ACK, or None when none came in time. Raises `BadRequest`."""
        try:
            heartbeat = read_heartbeat(parse(msgspec.json.encode(message)))
        except BadMessage as error:
            raise BadRequest(str(error)) from error
        pending = _Pending(heartbeat, asyncio.get_running_loop().create_future())
        older = self._pending.get(heartbeat.node_id)
        if older is not None and not _is_newer(heartbeat, older.heartbeat):
            return None
        _settle(older, None)
        self._pending[heartbeat.node_id] = pending
        self._wake.set()
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await asyncio.shield(pending.answer)
        except TimeoutError:
            return None

    async def deliver(self) -> None:
        """Send what is pending, many at once; wait for more."""
        await self._session.connected.wait()
        await self._wake.wait()
        self._wake.clear()
        slots = asyncio.Semaphore(_AT_ONCE_MAX)

        async def send(node_id: str, pending: _Pending) -> None:
            async with slots:
                try:
                    receipt = await self._send(pending.heartbeat)
                except Unavailable:
                    self._wake.set()  # it stays pending, unless a newer one has come
                    return
                except Problem as problem:
                    log.error("a heartbeat was refused", node_id=node_id, reason=problem.message)
                    receipt = None
            if self._pending.get(node_id) is pending:
                del self._pending[node_id]
            _settle(pending, receipt)

        await asyncio.gather(*(send(n, p) for n, p in list(self._pending.items())))

    async def _send(self, heartbeat: Heartbeat) -> Receipt:
        answer = await self._session.call(TOOL, {"event": EVENT, **heartbeat.raw})
        return believed(answer, heartbeat, self._session)


def _settle(pending: _Pending | None, receipt: Receipt | None) -> None:
    if pending is not None and not pending.answer.done():
        pending.answer.set_result(receipt)


def believed(answer: dict[str, Any], message: Any, session: ValidatorSession) -> Receipt:
    """Return a tool's answer as a receipt. Raises `Problem` for one that is not the validator's answer."""
    try:
        receipt = msgspec.convert(answer, Receipt)
    except msgspec.ValidationError as error:
        raise Problem(f"the answer is no receipt: {error}") from error
    fault = doubt(receipt, message, session.validator_id or "")
    if fault is not None:
        raise Problem(f"the receipt is not believed: {fault}")
    return receipt


def _is_newer(heartbeat: Heartbeat, other: Heartbeat) -> bool:
    """A key version's numbers begin anew, so another version is newer whatever its number."""
    if heartbeat.signature.key_version != other.signature.key_version:
        return True
    return heartbeat.seq_no > other.seq_no
