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
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.queue import ArqQueue
from ironclaw_chassis.reconciler import Reconciler, background, forever
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.events import EventType
from ironclaw_duty_officer.drills import start_drill
from ironclaw_duty_officer.grading import Grading
from ironclaw_duty_officer.relay.parts import Relay
from ironclaw_duty_officer.routes import build_routes
from ironclaw_duty_officer.settings import Settings
from ironclaw_patrol.assembly import assemble
from ironclaw_patrol.lead import Leadership
from ironclaw_patrol.rules import WATCHED_PHASES

HINTS = (EventType.ORDER_FAILED, EventType.INTEGRATION_FAILED, EventType.RECOVERY_REQUIRED)
"""Events after which an order may need the duty officer at once."""


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.DUTY_OFFICER, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    queue = ArqQueue(settings.redis_url.reveal())
    lead = Leadership(client, settings.lead_seconds)
    others = [service for service in ALL if service is not Service.DUTY_OFFICER]
    patroller = assemble(client, ledger, queue, lead, settings.limits, others, settings.garrison_id)

    relay = Relay(settings, client)

    async def look_at(order_id: str) -> None:
        await patroller.look_at(order_id)

    any_failed = True

    async def watched() -> AsyncIterator[str]:
        nonlocal any_failed
        found = False
        async for order, _ in ledger.orders_in(sorted(WATCHED_PHASES)):
            found = found or order.phase is OrderPhase.ATTEMPT_FAILED
            yield order.order_id
        any_failed = found

    async def turn_breakers() -> None:
        if any_failed or patroller.open_causes:
            await patroller.sweep()

    reconciler = Reconciler(
        "duty_officer",
        look_at,
        watched,
        period_seconds=settings.watch_seconds,
        idle_seconds=settings.unclaimed_seconds,  # of an order queued since, nothing is due before
    )

    async def tick() -> None:
        if lead.is_held or await lead.take():
            await patroller.patrol()

    async def drill() -> None:
        if lead.is_held:
            await start_drill(client)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(queue)
            await stack.enter_async_context(relay.open())
            await stack.enter_async_context(lead.kept())
            await stack.enter_async_context(reconciler.running())
            loops = [
                hint_from_ledger(ledger, reconciler, HINTS, "order_id"),
                forever("patrol", tick, settings.patrol_seconds),
                forever("breakers", turn_breakers, settings.watch_seconds),
            ]
            if settings.drill_seconds:
                loops.append(forever("drill", drill, settings.drill_seconds))
            await stack.enter_async_context(background(*loops))
            yield

    return create_app(
        build_routes(patroller, Grading(client, ledger), relay),
        ServiceAuthenticator(TokenVerifier.load(Service.DUTY_OFFICER, settings.keys)),
        lifespan=lifespan,
        checks={"queue": queue.ping, "database": relay.ping},
        node=ServiceNode(Service.DUTY_OFFICER, settings),
    )
