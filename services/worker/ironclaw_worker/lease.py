"""Keep the units' leases: renewed three times in their length, from a thread with an event loop of its own.

So work that keeps the main loop busy does not look like death. A main loop that stands still for long is no
life, though: then the thread stops renewing, and the order goes to another unit.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.ledger import LeaseRenewal
from ironclaw_contracts.errors import Conflict, Problem
from ironclaw_worker.metrics import RENEWALS

log = structlog.get_logger()

_PULSE_SECONDS = 0.5
_JOIN_SECONDS = 5.0


class LeaseTaken(Exception):
    """The attempt was superseded: whatever this unit does from here on would be refused."""


class Hold:
    """One lease that is kept; the unit says on it when it got on with its work."""

    def __init__(self, order_id: str, renewal: LeaseRenewal, taken: Callable[[], None]) -> None:
        self.order_id = order_id
        self.taken = taken
        self.due = time.monotonic() + renewal.lease_seconds / 3
        self._renewal = renewal
        self._progressed_at = datetime.now(UTC)

    def progressed(self) -> None:
        """Say that the unit got on: a model answered, a file was written."""
        self._progressed_at = datetime.now(UTC)

    def renewal(self) -> LeaseRenewal:
        """Return the next renewal, and count the one after from now."""
        self.due = time.monotonic() + self._renewal.lease_seconds / 3
        return msgspec.structs.replace(self._renewal, progressed_at=self._progressed_at)


class LeaseKeeper:
    """Renews the leases of all units of this process."""

    def __init__(self, open_client: Callable[[], ServiceClient], silence_seconds: float) -> None:
        self._open_client = open_client
        self._silence_seconds = silence_seconds
        self._holds: dict[str, Hold] = {}
        self._lock = threading.Lock()
        self._beat = time.monotonic()
        self._stopping = threading.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the thread while the context is open."""
        thread = threading.Thread(target=lambda: asyncio.run(self._renew_all()), name="leases", daemon=True)
        thread.start()
        pulse = asyncio.create_task(self._pulse(), name="pulse")
        try:
            yield
        finally:
            pulse.cancel()
            self._stopping.set()
            await asyncio.to_thread(thread.join, _JOIN_SECONDS)

    @asynccontextmanager
    async def held(self, order_id: str, renewal: LeaseRenewal) -> AsyncGenerator[Hold]:
        """Keep a lease while the body runs; the body is cancelled with `LeaseTaken` when the lease is gone.

        A ledger that is away is no reason to stop: a late result of a current attempt is still accepted.
        """
        loop, body = asyncio.get_running_loop(), asyncio.current_task()
        gone = threading.Event()

        def taken() -> None:
            gone.set()
            if body is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                    loop.call_soon_threadsafe(body.cancel)

        hold = Hold(order_id, renewal, taken)
        with self._lock:
            self._holds[order_id] = hold
        try:
            yield hold
        except asyncio.CancelledError:
            if gone.is_set():
                raise LeaseTaken(order_id) from None
            raise
        finally:
            with self._lock:
                if self._holds.get(order_id) is hold:
                    del self._holds[order_id]

    async def _pulse(self) -> None:
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(_PULSE_SECONDS)

    async def _renew_all(self) -> None:
        async with self._open_client() as client:
            ledger = LedgerClient(client)
            while not self._stopping.is_set():
                await asyncio.gather(*(self._renew(ledger, hold) for hold in self._due()))
                await asyncio.sleep(_PULSE_SECONDS / 2)

    def _due(self) -> list[Hold]:
        now = time.monotonic()
        if now - self._beat > self._silence_seconds:
            return []  # the units have stood still for long: let their leases run out
        with self._lock:
            return [hold for hold in self._holds.values() if hold.due <= now]

    async def _renew(self, ledger: LedgerClient, hold: Hold) -> None:
        try:
            await ledger.renew(hold.order_id, hold.renewal())
            RENEWALS.labels("renewed").inc()
        except Conflict as error:
            RENEWALS.labels("taken").inc()
            log.warning("lease taken", order_id=hold.order_id, reason=error.message)
            hold.taken()
        except Problem as error:
            RENEWALS.labels("failed").inc()
            log.warning("lease not renewed", order_id=hold.order_id, reason=error.message)
