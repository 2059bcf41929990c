"""Composition root of the vault."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.enums import Service
from ironclaw_vault.files import Files
from ironclaw_vault.janitor import Janitor, Retention
from ironclaw_vault.past import Past
from ironclaw_vault.routes import build_routes
from ironclaw_vault.salvage import Salvages
from ironclaw_vault.settings import Settings
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees


def compose(settings: Settings) -> Litestar:
    """Build the application."""
    client = ServiceClient(Identity.load(Service.VAULT, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    theaters = Theaters(settings.root_path, settings.allowed_root_paths)
    worktrees = Worktrees(theaters, ledger)
    past = Past(client)
    retention = Retention(settings.worktree_retention_seconds, settings.archive_retention_days)
    janitor = Janitor(theaters, worktrees, ledger, retention)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        tidying = forever("janitor", janitor.tidy_all, settings.janitor_seconds)
        async with client, background(tidying):
            yield

    return create_app(
        build_routes(theaters, worktrees, Files(theaters, past), Salvages(theaters, ledger), past),
        ServiceAuthenticator(TokenVerifier.load(Service.VAULT, settings.keys)),
        lifespan=lifespan,
    )
