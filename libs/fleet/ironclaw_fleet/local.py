"""The fleet on one machine: embedded servers, migrations, every service, supervised."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import asyncpg
import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ironclaw_chassis.identity import create_key
from ironclaw_chassis.node.folder import NodeFolder, node_name
from ironclaw_chassis.settings import PREFIX
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_contracts.poi.envelopes import ROLE_OF
from ironclaw_fleet.databases import (
    WITH_DATABASE,
    MigrationFailed,
    execute,
    migrate_service,
    prepare_databases,
)
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import ServiceUrls
from ironclaw_fleet.embedded.valkey import EmbeddedValkey
from ironclaw_fleet.environments import Environments
from ironclaw_fleet.forking import IS_AVAILABLE, ForkServer
from ironclaw_fleet.ports import free_port, is_free, is_ready
from ironclaw_fleet.process import ProcessSpec, ProcessState
from ironclaw_fleet.secretfile import write_private
from ironclaw_fleet.statedir import FleetRecord, StateDirectory
from ironclaw_fleet.supervisor import Supervisor

SERVICES: tuple[Service, ...] = (
    Service.LEDGER,
    Service.VAULT,
    Service.CO,
    Service.WORKER,
    Service.OBSERVER,
    Service.INTEGRATION,
    Service.DUTY_OFFICER,
    Service.SENTINEL,
    Service.OPENCLAWDBOT,
    Service.LEARNING,
    Service.API_GATEWAY,
)
_EXTRA_WORKER_PORTS = 100

T = TypeVar("T")


class StartFailed(Exception):
    """The fleet could not be started; the message says what and what to do."""


class FleetOptions(Struct, frozen=True):
    """How to run: `port_base` is the gateway's port; the other services listen on the ports after it."""

    port_base: int = SERVICE_PORTS[Service.API_GATEWAY]
    workers: int = 1
    allowed_roots: tuple[Path, ...] = ()


class LocalFleet:
    """Starts and stops a fleet on a state directory that the caller holds."""

    def __init__(
        self,
        state: StateDirectory,
        options: FleetOptions,
        environ: Mapping[str, str],
        changed: Callable[[ProcessState], None] | None = None,
    ) -> None:
        self.state = state
        self.supervisor = Supervisor(changed)
        self._options = options
        self._environ = environ
        self._environments = Environments(state, options.port_base, environ, options.allowed_roots)
        self._forks: ForkServer | None = None
        self._servers: set[str] = set()

    @property
    def gateway_url(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self._options.port_base}"

    async def start(self) -> None:
        """Start everything and return when every service is ready.

        Raises `StartFailed`, `NoFreePorts`, `NotReady`, `NoBinaries` or `DataMismatch`, with the next step.
        """
        self._check_ports()
        self._make_keys()
        self._register_nodes()
        async with _together() as together:
            databases, redis = together(self._databases()), together(self._redis())
            together(self._fork_server())
        urls, redis_url = databases.result(), redis.result()
        async with _together() as together:
            for service in WITH_DATABASE:
                together(self._migrate(service, urls[service].owner))
        for service in self._services():
            self._launch(service, urls.get(service), redis_url)
        for number in range(1, self._options.workers):
            self._launch(Service.WORKER, None, redis_url, number)
        await self.supervisor.wait_ready()
        self.state.write_fleet(
            FleetRecord(pid=os.getpid(), port_base=self._options.port_base, gateway_url=self.gateway_url)
        )

    async def stop(self) -> None:
        """Stop services, then the servers below them."""
        await self.supervisor.stop()

    def _check_ports(self) -> None:
        ports = {service.value: self._port(service) for service in self._services()}
        ports |= {_worker_name(n): self._worker_port(n) for n in range(1, self._options.workers)}
        for service, port in ports.items():
            if not is_free(port):
                raise StartFailed(
                    f"port {port} for {service} is taken; stop what uses it, or choose others: --port-base"
                )

    def _make_keys(self) -> None:
        for service in Service:
            create_key(self.state.keys, service.value)
        if not self.state.operator_key.exists():
            write_private(self.state.operator_key, f"ick_operator_{secrets.token_urlsafe(32)}")
        if not self.state.signing_secrets.exists():
            write_private(self.state.signing_secrets, secrets.token_urlsafe(32))

    def _register_nodes(self) -> None:
        """Make the key of every process's node, and write down for the validator whom to trust."""
        processes = [(service, 0) for service in SERVICES]
        processes += [(Service.WORKER, self._worker_port(n)) for n in range(1, self._options.workers)]
        registrations: list[Registration] = []
        for service, port in processes:
            name = node_name(service, port)
            signer = NodeFolder.of(self.state.path, name, ROLE_OF[service]).ensure()
            registrations.append(
                Registration(
                    node_id=signer.node_id,
                    role=ROLE_OF[service],
                    public_key_ref=signer.did,
                    key_version=signer.key_version,
                    label=name,
                )
            )
        write_private(self.state.node_registry, msgspec.json.encode(registrations).decode())

    async def _databases(self) -> dict[Service, ServiceUrls]:
        """Return how each service with tables reaches its own schema."""
        given = self._environ.get("DATABASE_URL")
        try:
            return await prepare_databases(given or await self._embedded_postgres(), self.state.keys)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StartFailed(
                f"{'DATABASE_URL' if given else 'the embedded PostgreSQL'} cannot be used"
                f" ({type(error).__name__}: {error}); it must reach PostgreSQL as a user who may create"
                " databases and roles"
            ) from error

    async def _embedded_postgres(self) -> str:
        postgres = EmbeddedPostgres(self.state, free_port())
        await asyncio.to_thread(postgres.prepare)
        self.supervisor.add(postgres.spec())
        self._servers.add("postgres")
        await self.supervisor.wait_ready("postgres")
        return postgres.url("postgres")

    async def _redis(self) -> str:
        given = self._environ.get("REDIS_URL")
        if given:
            await _check_redis(given)
            return given
        valkey = EmbeddedValkey(self.state, free_port())
        valkey.prepare()
        self.supervisor.add(valkey.spec())
        self._servers.add("valkey")
        await self.supervisor.wait_ready("valkey")
        return valkey.url

    async def _fork_server(self) -> None:
        """Import what the services share once, where they can be forked from that."""
        if not IS_AVAILABLE:
            return
        forks = ForkServer(
            self._environments.shared_modules(self._services()),
            self._environments.of_fork_server(),
            self.state.logs / "forkserver.log",
        )
        self.supervisor.add(forks.spec())
        self._servers.add("forkserver")
        await self.supervisor.wait_ready("forkserver")
        self._forks = forks

    async def _migrate(self, service: Service, owner_url: str) -> None:
        try:
            run = self._forks.run if self._forks else execute
            await migrate_service(service, owner_url, self._environments.of_service(service), run=run)
        except MigrationFailed as error:
            raise StartFailed(str(error)) from error

    def _launch(self, service: Service, urls: ServiceUrls | None, redis_url: str, number: int = 0) -> None:
        """Have one process of a service started."""
        port = self._worker_port(number) if number else self._port(service)
        name = _worker_name(number) if number else service.value
        env = self._environments.of_process(service, urls.app if urls else None, redis_url)
        if number:
            env[f"{PREFIX}{service.value.upper()}_PORT"] = str(port)
        self.supervisor.add(
            ProcessSpec(
                name=name,
                argv=[sys.executable, "-m", f"ironclaw_{service.value}"],
                env=env,
                log_path=self.state.logs / f"{name}.log",
                ready=lambda: is_ready(port),
                depends_on=tuple(sorted(self._servers)),  # so that they are stopped before what they stand on
                start=self._forks.start if self._forks else None,
            )
        )

    def _services(self) -> list[Service]:
        """Return what runs here: without workers of our own, units are on other machines."""
        return [s for s in SERVICES if self._options.workers > 0 or s is not Service.WORKER]

    def _port(self, service: Service) -> int:
        return self._options.port_base + SERVICE_PORTS[service] - SERVICE_PORTS[Service.API_GATEWAY]

    def _worker_port(self, number: int) -> int:
        return self._options.port_base + _EXTRA_WORKER_PORTS + number


def _worker_name(number: int) -> str:
    return f"{Service.WORKER}-{number + 1}"


@asynccontextmanager
async def _together() -> AsyncGenerator[Callable[[Coroutine[Any, Any, T]], asyncio.Task[T]]]:
    """Run coroutines at once; the first failure stops the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group.create_task
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def _check_redis(url: str) -> None:
    """Raise `StartFailed` when a REDIS_URL that was given does not work."""
    try:
        async with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as redis:
            await cast("Awaitable[bool]", redis.ping())
    except (RedisError, OSError, ValueError) as error:
        raise StartFailed(f"REDIS_URL cannot be used ({error}); it reads redis://HOST:PORT") from error
