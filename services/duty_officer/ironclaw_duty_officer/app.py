"""Composition root of the duty officer."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.hints import hint_from_ledger
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.queue import ArqQueue
from ironclaw_chassis.reconciler import Reconciler, background, forever
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType
from ironclaw_duty_officer.patrol import Patroller
from ironclaw_duty_officer.recovery import Recovery
from ironclaw_duty_officer.routes import build_routes
from ironclaw_duty_officer.rules import WATCHED_PHASES, Thresholds
from ironclaw_duty_officer.settings import Settings

HINTS = (EventType.ORDER_FAILED, EventType.INTEGRATION_FAILED, EventType.RECOVERY_REQUIRED)
"""Events after which an order may need the duty officer at once."""


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.DUTY_OFFICER, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    queue = ArqQueue(settings.redis_url)
    limits = Thresholds(
        unclaimed_seconds=settings.unclaimed_seconds,
        lease_seconds=settings.lease_seconds,
        lost_units_max=settings.lost_units_max,
    )
    patroller = Patroller(ledger, Recovery(client, ledger, queue), limits, settings.garrison_id)

    async def look_at(order_id: str) -> None:
        await patroller.look_at(order_id)

    async def watched() -> AsyncIterator[str]:
        async for order, _ in ledger.orders_in(sorted(WATCHED_PHASES)):
            yield order.order_id

    reconciler = Reconciler("duty_officer", look_at, watched, period_seconds=settings.watch_seconds)

    async def tick() -> None:
        await patroller.patrol()

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(queue)
            await stack.enter_async_context(reconciler.running())
            await stack.enter_async_context(
                background(
                    hint_from_ledger(ledger, reconciler, HINTS, "order_id"),
                    forever("patrol", tick, settings.patrol_seconds),
                )
            )
            yield

    return create_app(
        build_routes(patroller),
        ServiceAuthenticator(TokenVerifier.load(Service.DUTY_OFFICER, settings.keys)),
        lifespan=lifespan,
        checks={"queue": queue.ping},
    )
