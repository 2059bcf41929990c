"""Composition root of the vault."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.enums import Service
from ironclaw_vault.files import Files
from ironclaw_vault.routes import build_routes
from ironclaw_vault.settings import Settings
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.VAULT, settings.keys), Addresses(settings))
    theaters = Theaters(settings.root_path, settings.allowed_root_paths)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with client:
            yield

    return create_app(
        build_routes(theaters, Worktrees(theaters, LedgerClient(client)), Files(theaters)),
        ServiceAuthenticator(TokenVerifier.load(Service.VAULT, settings.keys)),
        lifespan=lifespan,
    )
