"""Composition root of the worker."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.model import open_model
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.queue import ArqQueue
from ironclaw_chassis.reconciler import background
from ironclaw_contracts.enums import Service
from ironclaw_worker.agent.loop import AgentExecutor
from ironclaw_worker.command import CommandExecutor
from ironclaw_worker.consumer import Consumer
from ironclaw_worker.executor import Executor, ModelExecutor, OfflineExecutor
from ironclaw_worker.lease import LeaseKeeper
from ironclaw_worker.routes import build_routes
from ironclaw_worker.settings import Settings
from ironclaw_worker.unit import Unit
from ironclaw_worker.workbench import ModelEndpoint, Toolbox, Workbench, find_sandbox
from ironclaw_worker.workspace import FetchedWorkspace, SharedWorkspace


def compose(settings: Settings) -> Litestar:
    """Build the application. Raises `SettingsError` when this machine has not the sandbox asked for."""
    addresses = Addresses(settings)
    client = ServiceClient(Identity.load(Service.WORKER, settings.keys), addresses)
    queue = ArqQueue(settings.redis_url.reveal())
    model = open_model(settings, client)
    executor: Executor = ModelExecutor(model, settings.model_name) if model.available else OfflineExecutor()
    leases = LeaseKeeper(
        lambda: ServiceClient(Identity.load(Service.WORKER, settings.keys), Addresses(settings)),
        settings.silence_seconds,
    )
    found = find_sandbox(settings.sandbox)
    endpoint = ModelEndpoint(
        settings.model_base_url,
        settings.model_name,
        settings.model_api_key,
        frozenset(name.strip() for name in settings.model_commands.split(",") if name.strip()),
    )
    workbench = Workbench(client, found, Toolbox(settings.tool_folders), endpoint)
    fetched = (
        FetchedWorkspace(client, addresses, settings.worktrees_path)
        if settings.worktrees == "fetched"
        else None
    )
    unit = Unit(
        LedgerClient(client),
        executor,
        [CommandExecutor(workbench), AgentExecutor(model, settings.model_name, workbench)],
        leases,
        fetched or SharedWorkspace(),
        lease_seconds=settings.lease_seconds,
        garrison_id=settings.garrison_id,
    )
    consumer = Consumer(
        unit, settings.redis_url.reveal(), units_max=settings.units_max, poll_seconds=settings.poll_seconds
    )

    node = ServiceNode(Service.WORKER, settings)
    node.pending_jobs = lambda: consumer.at_work
    node.status = lambda: "busy" if consumer.at_work >= settings.units_max else "online"

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(queue)
            stack.push_async_callback(model.aclose)
            if fetched is not None:
                await fetched.clear_leftovers()
            await stack.enter_async_context(leases.running())
            await stack.enter_async_context(background(consumer.run()))
            yield

    return create_app(
        build_routes(queue),
        ServiceAuthenticator(TokenVerifier.load(Service.WORKER, settings.keys)),
        lifespan=lifespan,
        checks={"queue": queue.ping},
        node=node,
        facts=lambda: {"sandbox": str(found)},
    )
