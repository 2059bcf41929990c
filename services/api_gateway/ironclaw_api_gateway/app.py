"""Composition root of the gateway."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.console.app import build_console
from ironclaw_api_gateway.console.pulse import Pulse
from ironclaw_api_gateway.endings import Endings
from ironclaw_api_gateway.following import Following
from ironclaw_api_gateway.orders import Orders
from ironclaw_api_gateway.parts import Gateway
from ironclaw_api_gateway.receipts import Receipts
from ironclaw_api_gateway.routes.command_center import add_command_center_routes
from ironclaw_api_gateway.routes.learning import add_learning_routes
from ironclaw_api_gateway.routes.merging import add_merging_routes
from ironclaw_api_gateway.routes.openclaw import add_openclaw_routes
from ironclaw_api_gateway.routes.operations import add_operation_routes
from ironclaw_api_gateway.routes.telling import add_telling_routes
from ironclaw_api_gateway.routes.watch import add_watch_routes
from ironclaw_api_gateway.routes.work import add_work_routes
from ironclaw_api_gateway.settings import Settings
from ironclaw_api_gateway.streams import Streams
from ironclaw_api_gateway.tools import fleet_server
from ironclaw_chassis.app import VERSION, create_app
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.routes import Routes
from ironclaw_contracts.enums import Service


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.API_GATEWAY, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    endings, pulse = Endings(ledger), Pulse(ledger)
    gateway = Gateway(settings, client, endings, pulse)
    chat, orders, streams = Chat(client, endings), Orders(client), Streams(settings.streams_max)
    routes = Routes(Service.API_GATEWAY)
    following = Following(ledger, streams)
    add_work_routes(routes, client, chat, following, orders, Receipts(client))
    add_operation_routes(routes, client, gateway)
    add_merging_routes(routes, client)
    add_watch_routes(routes, client)
    add_telling_routes(routes, client)
    add_openclaw_routes(routes, client, following)
    add_learning_routes(routes, client)
    add_command_center_routes(routes, client)
    mcp = fleet_server(client, chat, gateway, VERSION)
    port = settings.port or settings.port_of(Service.API_GATEWAY)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with gateway.open(), mcp.running():
            yield

    return create_app(
        routes,
        gateway,
        lifespan=lifespan,
        mounts=[mcp.route, *build_console(client, gateway, chat, orders, pulse, streams, port)],
        checks={"database": gateway.ping_database, "valkey": gateway.ping_limiter},
        node=ServiceNode(Service.API_GATEWAY, settings),
    )
