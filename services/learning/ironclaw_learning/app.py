"""Composition root of learning."""

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_contracts.enums import Service
from ironclaw_learning.parts import Parts
from ironclaw_learning.routes import build_routes
from ironclaw_learning.settings import Settings


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.LEARNING, settings.keys), Addresses(settings))
    parts = Parts(settings, client)
    return create_app(
        build_routes(parts),
        ServiceAuthenticator(TokenVerifier.load(Service.LEARNING, settings.keys)),
        lifespan=parts.open,
        checks={"database": parts.ping},
        node=ServiceNode(Service.LEARNING, settings),
    )
