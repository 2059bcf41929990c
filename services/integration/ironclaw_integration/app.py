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
from ironclaw_chassis.reconciler import Reconciler, background
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType
from ironclaw_integration.merge_queue import QUEUED_PHASES, MergeQueue
from ironclaw_integration.routes import build_routes
from ironclaw_integration.settings import Settings


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.INTEGRATION, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    queue = MergeQueue(client, ledger)

    async def theaters_with_work() -> AsyncIterator[str]:
        async for order, _ in ledger.orders_in(sorted(QUEUED_PHASES)):
            yield order.theater_id

    reconciler = Reconciler(
        "integration", queue.drain, theaters_with_work, period_seconds=settings.sweep_seconds
    )

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(reconciler.running())
            await stack.enter_async_context(
                background(hint_from_ledger(ledger, reconciler, [EventType.INTEGRATION_READY], "theater_id"))
            )
            yield

    return create_app(
        build_routes(queue),
        ServiceAuthenticator(TokenVerifier.load(Service.INTEGRATION, settings.keys)),
        lifespan=lifespan,
        node=ServiceNode(Service.INTEGRATION, settings),
    )
