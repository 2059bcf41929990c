"""Composition root of the gateway."""

from litestar import Litestar

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.endings import Endings
from ironclaw_api_gateway.following import Following
from ironclaw_api_gateway.parts import Gateway
from ironclaw_api_gateway.receipts import Receipts
from ironclaw_api_gateway.routes.openclaw import add_openclaw_routes
from ironclaw_api_gateway.routes.operations import add_operation_routes
from ironclaw_api_gateway.routes.telling import add_telling_routes
from ironclaw_api_gateway.routes.watch import add_watch_routes
from ironclaw_api_gateway.routes.work import add_work_routes
from ironclaw_api_gateway.settings import Settings
from ironclaw_chassis.app import create_app
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.routes import Routes
from ironclaw_contracts.enums import Service


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.API_GATEWAY, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    endings = Endings(ledger)
    gateway = Gateway(settings, client, endings)
    routes = Routes(Service.API_GATEWAY)
    following = Following(ledger, settings.streams_max)
    add_work_routes(routes, client, Chat(client, endings), following, Receipts(client))
    add_operation_routes(routes, client, gateway)
    add_watch_routes(routes, client)
    add_telling_routes(routes, client)
    add_openclaw_routes(routes, client)
    return create_app(
        routes,
        gateway,
        lifespan=gateway.open,
        checks={"database": gateway.ping_database, "valkey": gateway.ping_limiter},
    )
