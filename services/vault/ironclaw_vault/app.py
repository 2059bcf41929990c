"""Composition root of the vault."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier, load_private_key
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.enums import Service
from ironclaw_vault.files import Files
from ironclaw_vault.janitor import Janitor, Retention
from ironclaw_vault.past import Past
from ironclaw_vault.remote.grants import GrantTokens
from ironclaw_vault.remote.routes import add_remote_routes
from ironclaw_vault.remote.work import RemoteWork
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
    tokens = GrantTokens(load_private_key(settings.keys / f"{Service.VAULT.value}.key"))
    remote_work = RemoteWork(theaters, ledger, tokens, settings.push_bytes_max)
    retention = Retention(settings.worktree_retention_seconds, settings.archive_retention_days)
    janitor = Janitor(theaters, worktrees, ledger, retention)

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        tidying = forever("janitor", janitor.tidy_all, settings.janitor_seconds)
        async with client, background(tidying):
            yield

    routes = build_routes(theaters, worktrees, Files(theaters, past), Salvages(theaters, ledger, past), past)
    add_remote_routes(routes, remote_work)
    return create_app(
        routes,
        ServiceAuthenticator(TokenVerifier.load(Service.VAULT, settings.keys)),
        lifespan=lifespan,
        node=ServiceNode(Service.VAULT, settings),
    )
