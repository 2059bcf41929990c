"""Composition root of the sentinel."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar

from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.identity import Identity, TokenVerifier
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.queue import ArqQueue
from ironclaw_chassis.reconciler import background, forever
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import Service
from ironclaw_patrol.assembly import assemble
from ironclaw_patrol.lead import Leadership
from ironclaw_sentinel.auditor import Auditor
from ironclaw_sentinel.failover import Failover
from ironclaw_sentinel.routes import build_routes
from ironclaw_sentinel.settings import Settings
from ironclaw_sentinel.webhook import Webhook


def compose(settings: Settings) -> Litestar:
    """Build the application. Raises `SettingsError` for a webhook that could not be signed."""
    if settings.webhook_url and not settings.webhook_secret.reveal():
        raise SettingsError(
            "IRONCLAW_SENTINEL_WEBHOOK_URL needs IRONCLAW_SENTINEL_WEBHOOK_SECRET: deliveries are signed"
        )
    client = ServiceClient(Identity.load(Service.SENTINEL, settings.keys), Addresses(settings))
    ledger = LedgerClient(client)
    queue = ArqQueue(settings.redis_url.reveal())
    failover = _failover(settings, client, ledger, queue) if settings.failover else None
    escalations = Escalations(ledger, settings.garrison_id)
    auditor = Auditor(ledger, escalations, failover, settings.audit_limits)
    webhook = Webhook(
        ledger,
        settings.webhook_url,
        settings.webhook_secret,
        settings.cursor_path,
        settings.webhook_tries_max,
    )

    async def audit() -> None:
        await auditor.audit()

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(queue)
            loops = [
                forever("audit", audit, settings.audit_seconds),
                forever("webhook", webhook.run, 1.0),
            ]
            if failover is not None:
                loops += [
                    forever("lead", failover.keep_lead, settings.lead_seconds / 3),
                    forever("patrol", failover.patrol, settings.patrol_seconds),
                    forever("breakers", failover.watch, 2.0),
                ]
            await stack.enter_async_context(background(*loops))
            yield

    return create_app(
        build_routes(auditor),
        ServiceAuthenticator(TokenVerifier.load(Service.SENTINEL, settings.keys)),
        lifespan=lifespan,
        node=ServiceNode(Service.SENTINEL, settings),
    )


def _failover(settings: Settings, client: ServiceClient, ledger: LedgerClient, queue: ArqQueue) -> Failover:
    lead = Leadership(client, settings.lead_seconds)
    others = [service for service in ALL if service is not Service.SENTINEL]
    patroller = assemble(client, ledger, queue, lead, settings.patrol_limits, others, settings.garrison_id)
    return Failover(client, lead, patroller)
