"""Composition root of co."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.hints import hint_from_ledger
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.model import open_model
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.queue import ArqQueue
from ironclaw_chassis.reconciler import Reconciler, background
from ironclaw_co.acknowledging import Acknowledging
from ironclaw_co.admission import Admission
from ironclaw_co.announcing import Announcing
from ironclaw_co.commander import Commander
from ironclaw_co.dispatcher import Dispatcher
from ironclaw_co.drafting import Drafter
from ironclaw_co.intents import is_announced
from ironclaw_co.metrics import read_outbox, read_queue
from ironclaw_co.model_planner import ModelPlanner
from ironclaw_co.parts import Parts
from ironclaw_co.replaying import Replaying
from ironclaw_co.routes import build_routes
from ironclaw_co.routing import Router
from ironclaw_co.settings import Settings
from ironclaw_co.sweep import RunSweep
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.endpoints import ledger as ledger_api
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import Event, EventType

HINTS = (
    EventType.RUN_UPDATED,
    EventType.INTEGRATED,
    EventType.ORDER_FAILED,
    EventType.ORDER_BLOCKED,
    EventType.ORDER_REISSUED,
    EventType.ORDER_CANCELLED,
)
"""Events after which a run may need co."""


def _matters(event: Event, intent_required: bool) -> bool:
    """Tell whether an event can change what a run needs.

    Of a run's updates, a wish to stop can, and a linked intent where dispatch waits for it. A plan cannot:
    who made it goes on with it.
    """
    if event.type is not EventType.RUN_UPDATED:
        return True
    given = event.payload
    return given.get("cancel_requested") is not None or (intent_required and given.get("intent") is not None)


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.CO, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    queue = ArqQueue(settings.redis_url.reveal())
    model = open_model(settings, client)
    planner = ModelPlanner(model, settings.model_name, settings.plan_tasks_max) if model.available else None
    router = Router(ledger, Profile(model=settings.model_name))
    commander = Commander(
        client,
        ledger,
        Dispatcher(client, ledger, queue),
        Drafter(client, planner),
        router,
        in_flight_max=settings.in_flight_max,
        intent_required=settings.poi_required,
    )

    admission = Admission(client, ledger, router, settings.default_theater, settings.garrison_id)
    parts = Parts(settings, ledger)

    node = ServiceNode(Service.CO, settings)
    announcing = Announcing(client, ledger, node)
    node.active_intents = announcing.active
    announcer = Reconciler(
        "intents", announcing.announce, announcing.waiting, period_seconds=settings.sweep_seconds
    )

    async def advance(run_id: str) -> None:
        view = await commander.advance(run_id)
        if view.run.status is not RunStatus.OPEN:
            announcing.ended(run_id)
        if not is_announced(view.run):
            announcing.planned(view.run)
            announcer.nudge(run_id)

    reconciler = Reconciler("co", advance, RunSweep(client).keys, period_seconds=settings.sweep_seconds)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(queue)
            stack.push_async_callback(model.aclose)
            await stack.enter_async_context(parts.open())
            await stack.enter_async_context(announcer.running())
            await stack.enter_async_context(reconciler.running())
            hints = hint_from_ledger(
                ledger, reconciler, HINTS, "run_id", lambda event: _matters(event, settings.poi_required)
            )
            await stack.enter_async_context(background(hints))
            yield

    async def reach_ledger() -> None:
        await client.call(ledger_api.GET_CHAIN)

    return create_app(
        build_routes(
            admission,
            commander,
            Acknowledging(ledger, settings.garrison_id),
            Replaying(client, ledger, admission),
            parts,
            reconciler,
        ),
        ServiceAuthenticator(TokenVerifier.load(Service.CO, settings.keys)),
        lifespan=lifespan,
        checks={"queue": queue.ping, "ledger": reach_ledger, "database": parts.ping},
        node=node,
        readings=[lambda: read_queue(queue), lambda: read_outbox(parts)],
    )
