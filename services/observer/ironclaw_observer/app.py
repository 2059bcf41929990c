"""Composition root of the observer."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.hints import hint_from_ledger
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.reconciler import Reconciler, background, forever
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.events import EventType
from ironclaw_observer.late import LateResults
from ironclaw_observer.routes import build_routes
from ironclaw_observer.settings import Settings
from ironclaw_observer.validator import Validator
from ironclaw_observer.watch import Watch

HINTS = (EventType.ORDER_COMPLETED, EventType.ORDER_ADOPTED)
"""Events after which an order has to be validated."""


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.OBSERVER, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    validator = Validator(ledger)
    late = LateResults(client, ledger)
    watch = Watch(
        client,
        ledger,
        validator,
        late,
        Escalations(ledger, settings.garrison_id),
        stuck_seconds=settings.stuck_seconds,
        stuck_seconds_by_profile=settings.by_profile,
    )

    async def validate(order_id: str) -> None:
        await validator.validate(order_id)

    async def completed() -> AsyncIterator[str]:
        async for order, _ in ledger.orders_in([OrderPhase.COMPLETED]):
            yield order.order_id

    reconciler = Reconciler("observer", validate, completed, period_seconds=settings.sweep_seconds)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(reconciler.running())
            await stack.enter_async_context(
                background(
                    hint_from_ledger(ledger, reconciler, HINTS, "order_id"),
                    forever("patrol", watch.patrol_all, settings.patrol_seconds),
                )
            )
            yield

    return create_app(
        build_routes(watch, late),
        ServiceAuthenticator(TokenVerifier.load(Service.OBSERVER, settings.keys)),
        lifespan=lifespan,
        node=ServiceNode(Service.OBSERVER, settings),
    )
