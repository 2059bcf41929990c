"""Composition root of openclawdbot."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import VERSION, create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.cors import open_to_browsers
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.signing import SigningSecrets
from ironclaw_contracts.enums import Service
from ironclaw_openclawdbot.following import Following
from ironclaw_openclawdbot.metrics import read_nodes
from ironclaw_openclawdbot.parts import Parts
from ironclaw_openclawdbot.proof.routes import add_proof_routes
from ironclaw_openclawdbot.proof.tools import proof_server
from ironclaw_openclawdbot.receiving import Receiving, SourceLimit
from ironclaw_openclawdbot.routes import build_routes, exact_paths
from ironclaw_openclawdbot.settings import Settings
from ironclaw_openclawdbot.showing import Showing, read_catalogue


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.OPENCLAWDBOT, settings.keys), Addresses(settings))
    parts = Parts(settings, client)
    following = Following(parts, settings.streams_max)
    receiving = Receiving(
        parts,
        SigningSecrets(settings.signing_secret, settings.signing_secret_file),
        following,
        SourceLimit(settings.ingest_per_second, settings.ingest_burst),
        settings.replay_window_seconds,
    )
    showing = Showing(parts, following, read_catalogue(settings.segments_file), settings.model_name)
    routes = build_routes(receiving, showing, following)
    add_proof_routes(routes, parts)
    authenticator = ServiceAuthenticator(TokenVerifier.load(Service.OPENCLAWDBOT, settings.keys))
    mcp = proof_server(parts, authenticator, VERSION)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with parts.open(), mcp.running():
            yield

    return create_app(
        routes,
        authenticator,
        lifespan=lifespan,
        checks={"database": parts.ping},
        readings=[lambda: read_nodes(parts)],
        around=[open_to_browsers, exact_paths],
        mounts=[mcp.route],
        node=ServiceNode(Service.OPENCLAWDBOT, settings),
    )
