"""The heartbeats of a service: signed here, handed to the garrison's relay, their ACKs kept for /health."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.node.folder import NodeFolder, NodeHeld, node_name
from ironclaw_chassis.node.load import LoadMeter
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.endpoints import duty_officer_relay as relay
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.health import AckSeen, HeartbeatSent
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.envelopes import (
    ROLE_OF,
    ActiveIntentRef,
    Signer,
    announcement_message,
    heartbeat_message,
)

log = structlog.get_logger()

_RETRY_SECONDS = (1.0, 15.0)
_FAREWELL_SECONDS = 1.0
_STATUS_LOOK_SECONDS = 1.0
_ACTIVE_INTENTS_MAX = 50


class ServiceNode:
    """One process of a service as a node.

    The service may set `pending_jobs`, `status` and `active_intents`, which are asked at each heartbeat. A
    status that has changed is sent at once.
    """

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        own_port = settings.port not in (0, settings.port_of(service))
        self.folder = NodeFolder.of(
            Path(settings.home), node_name(service, settings.port if own_port else 0), ROLE_OF[service]
        )
        self._service = service
        self._settings = settings
        self._started = time.monotonic()
        self.pending_jobs: Callable[[], int] = lambda: 0
        self.status: Callable[[], str] = lambda: "online"
        self.active_intents: Callable[[], list[ActiveIntentRef]] = list
        self.last_heartbeat: HeartbeatSent | None = None
        self.last_ack: AckSeen | None = None

    @asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Send heartbeats while the context is open, and `offline` at its end."""
        settings = self._settings
        identity = await asyncio.to_thread(Identity.load, self._service, settings.keys)
        async with ServiceClient(identity, Addresses(settings)) as client:
            task = asyncio.create_task(self._beat_for_ever(client), name="heartbeats")
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if self.last_heartbeat is not None:
                    with suppress(Problem, TimeoutError, OSError):
                        async with asyncio.timeout(_FAREWELL_SECONDS):
                            await self._beat(client, LoadMeter(), "offline")

    async def announcement(self, intent: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Return an intent of this node, signed and in its envelope."""
        signer = await self.signer()
        number = await asyncio.to_thread(self.folder.next_number, signer.key_version, "intents")
        return announcement_message(signer, str(uuid.uuid4()), now, intent=intent, seq_no=number)

    async def signer(self) -> Signer:
        """Return the node with its current key, which may have been rotated since."""
        return await asyncio.to_thread(self.folder.ensure)

    async def _beat_for_ever(self, client: ServiceClient) -> None:
        pause, longest = _RETRY_SECONDS
        while True:
            sent = self.last_heartbeat
            try:
                with self.folder.held():
                    await self._beats(client)
            except NodeHeld as error:
                log.warning("no heartbeats", reason=str(error))
            except Problem as problem:
                log.info("the relay is away", reason=problem.message, retry_seconds=pause)
            except Exception:
                log.exception("heartbeats failed", retry_seconds=pause)
            if self.last_heartbeat is not sent:
                pause = _RETRY_SECONDS[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _beats(self, client: ServiceClient) -> None:
        meter = LoadMeter()
        while True:
            status = self.status()
            await self._beat(client, meter, status)
            await self._pause(status)

    async def _pause(self, status: str) -> None:
        """Wait for the next heartbeat's time, or until the status is another."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.heartbeat_seconds):
                while self.status() == status:  # noqa: ASYNC110, a status is a question, not an event
                    await asyncio.sleep(_STATUS_LOOK_SECONDS)

    async def _beat(self, client: ServiceClient, meter: LoadMeter, status: str) -> None:
        signer = await self.signer()
        seq_no = await asyncio.to_thread(self.folder.next_number, signer.key_version, "seq")
        now = datetime.now(UTC)
        message = heartbeat_message(
            signer,
            str(uuid.uuid4()),
            now,
            seq_no=seq_no,
            status=status,
            uptime_seconds=time.monotonic() - self._started,
            load=meter.measure(self.pending_jobs()),
            active_intents=self.active_intents()[:_ACTIVE_INTENTS_MAX],
            metadata={"service": self._service.value, "garrison_id": self._settings.garrison_id},
        )
        answer = await client.call(relay.RELAY_HEARTBEAT, relay.Relayed(message))
        self.last_heartbeat = HeartbeatSent(seq_no, format_instant(now), status)
        if answer.receipt is not None:
            ack = answer.receipt.ack
            self.last_ack = AckSeen(ack.ack_id, ack.status, ack.received_at)
            if ack.status != "accepted":
                log.warning("heartbeat not accepted", status=ack.status, notes=ack.validation_notes)
