"""A gateway of the test's own over HTTP, on a real database and Valkey; a real ledger beside it where one is needed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn

from ironclaw_api_gateway.app import compose as compose_gateway
from ironclaw_api_gateway.settings import Settings
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.access import KeyRequest, NewKey
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import SERVICE_PORTS, Role, Service
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from ironclaw_fleet.ports import free_port_row
from ironclaw_ledger.app import compose as compose_ledger
from ironclaw_ledger.settings import Settings as LedgerSettings
from tests.support.databases import new_database

OPERATOR = "ick_operator_" + "o" * 43


@asynccontextmanager
async def served(app: Any, port: int) -> AsyncIterator[None]:
    """Serve an application on a port while the context is open."""
    config = uvicorn.Config(
        app, port=port, lifespan="on", log_level="error", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(15):
        while not server.started:
            if task.done():
                break
            await asyncio.sleep(0.01)
    assert server.started, "the application did not start"
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No logs: here they would be drawn for a terminal, and the drawing of a traceback holds the loop up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@dataclass(frozen=True)
class Site:
    """Where a gateway and its neighbours stand."""

    database_url: str
    redis_url: str
    keys: Path
    port_base: int
    secret_file: Path

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return f"http://127.0.0.1:{self.port_base}"

    def settings(self, **changes: Any) -> Settings:
        """The gateway's settings, with changes."""
        given = {
            "database_url": Secret(self.database_url),
            "redis_url": Secret(self.redis_url),
            "keys_dir": str(self.keys),
            "port_base": self.port_base,
            "bootstrap_key_file": str(self.secret_file),
        }
        return Settings(**{**given, **changes})

    @asynccontextmanager
    async def gateway(self, **changes: Any) -> AsyncIterator[None]:
        """Run the gateway while the context is open."""
        async with served(compose_gateway(self.settings(**changes)), self.port_base):
            yield

    @asynccontextmanager
    async def ledger(self, url: str) -> AsyncIterator[None]:
        """Run a ledger next to it while the context is open."""
        settings = LedgerSettings(database_url=Secret(url), keys_dir=str(self.keys))
        port = self.port_base + SERVICE_PORTS[Service.LEDGER] - SERVICE_PORTS[Service.API_GATEWAY]
        async with served(compose_ledger(settings), port):
            yield

    def client(self, secret: str = OPERATOR) -> ServiceClient:
        """A client of the gateway with a key."""
        return ServiceClient(KeyCredentials(secret), GatewayAddress(self.url))

    def service(self, service: Service) -> ServiceClient:
        """A client with a service's own identity."""
        addresses = Addresses(ServiceSettings(port_base=self.port_base), {})
        return ServiceClient(Identity.load(service, self.keys), addresses)

    async def key(self, name: str, role: Role = Role.USER, rate: int = 60_000, burst: int = 1_000) -> NewKey:
        """Make a key as the operator."""
        async with self.client() as operator:
            return await operator.call(api.CREATE_KEY, KeyRequest(name, role, rate, burst))


@pytest.fixture
async def site(postgres_url: str, valkey_url: str, keys_folder: Path, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a migrated database and the secret of an operator's key."""
    secret_file = tmp_path / "operator.apikey"
    secret_file.write_text(OPERATOR + "\n")
    async with new_database(postgres_url, Service.API_GATEWAY) as database_url:
        yield Site(database_url, valkey_url, keys_folder, free_port_row(), secret_file)


@pytest.fixture
async def ledger_url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database for a ledger."""
    async with new_database(postgres_url, Service.LEDGER) as url:
        yield url
