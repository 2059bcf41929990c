"""Composition root of the ledger."""

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.identity import TokenVerifier
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_contracts.enums import Service
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.routes import build_routes
from ironclaw_ledger.settings import Settings


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    ledger = Ledger(settings)
    return create_app(
        build_routes(ledger),
        ServiceAuthenticator(TokenVerifier.load(Service.LEDGER, settings.keys)),
        lifespan=ledger.open,
        checks={"database": ledger.ping},
        node=ServiceNode(Service.LEDGER, settings),
        readings=[ledger.read_figures],
    )
