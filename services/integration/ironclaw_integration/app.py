"""Composition root of integration."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.hints import hint_from_ledger
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.reconciler import Reconciler, background, forever
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType
from ironclaw_integration.forecast import FLYING_PHASES
from ironclaw_integration.merge_queue import QUEUED_PHASES
from ironclaw_integration.parts import Parts
from ironclaw_integration.routes import build_routes
from ironclaw_integration.settings import Settings

_PROOF_LOOK_SECONDS = 60.0
_PUSH_LOOK_SECONDS = 60.0
_RETENTION_LOOK_SECONDS = 3_600.0


def compose(settings: Settings) -> Litestar:
    """Build the application. Raises `SettingsError`."""
    client = ServiceClient(Identity.load(Service.INTEGRATION, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    parts = Parts(settings, client, ledger)

    async def theaters_with_work() -> AsyncIterator[str]:
        async for order, _ in ledger.orders_in(sorted(QUEUED_PHASES)):
            yield order.theater_id

    async def drain(theater_id: str) -> None:
        await parts.queue.drain(theater_id)

    reconciler = Reconciler("integration", drain, theaters_with_work, period_seconds=settings.sweep_seconds)

    async def all_theaters() -> AsyncIterator[str]:
        for theater in (await client.call(vault.LIST_THEATERS)).theaters:
            yield theater.theater_id

    async def prove(theater_id: str) -> None:
        await parts.judging.prove_all_due(theater_id)

    prover = Reconciler(
        "gate proofs",
        prove,
        all_theaters,
        period_seconds=min(settings.proof_seconds, _PROOF_LOOK_SECONDS),
        concurrency=1,
    )

    async def remote_theaters() -> AsyncIterator[str]:
        async for theater_id in parts.pusher.keys():
            yield theater_id

    async def push(theater_id: str) -> None:
        await parts.pusher.push(theater_id)

    pushes = Reconciler("pushes", push, remote_theaters, period_seconds=_PUSH_LOOK_SECONDS, concurrency=2)

    async def theaters_in_flight() -> AsyncIterator[str]:
        async for order, _ in ledger.orders_in(sorted(FLYING_PHASES)):
            yield order.theater_id

    async def foretell(theater_id: str) -> None:
        await parts.forecast.tell(theater_id)

    weatherman = Reconciler(
        "weather", foretell, theaters_in_flight, period_seconds=settings.weather_seconds, concurrency=1
    )

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(parts.open())
            await stack.enter_async_context(reconciler.running())
            await stack.enter_async_context(prover.running())
            await stack.enter_async_context(weatherman.running())
            await stack.enter_async_context(pushes.running())
            await stack.enter_async_context(
                background(
                    hint_from_ledger(ledger, reconciler, [EventType.INTEGRATION_READY], "theater_id"),
                    hint_from_ledger(ledger, pushes, [EventType.INTEGRATED], "theater_id"),
                )
            )
            await stack.enter_async_context(
                background(forever("retention", parts.forget, _RETENTION_LOOK_SECONDS))
            )
            yield

    return create_app(
        build_routes(parts, reconciler),
        ServiceAuthenticator(TokenVerifier.load(Service.INTEGRATION, settings.keys)),
        lifespan=lifespan,
        node=ServiceNode(Service.INTEGRATION, settings),
        checks={"database": parts.ping},
        facts=parts.facts,
    )
