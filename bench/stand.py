"""What a measurement stands on: PostgreSQL of its own, with the fleet's options, and single services.

A whole fleet would idle beside what is measured, on the same cores.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from ironclaw_chassis.identity import Identity, create_key
from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_fleet.databases import migrate_service
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import DATABASE, ensure_database, ensure_roles
from ironclaw_fleet.ports import free_port, free_port_row, is_ready
from ironclaw_fleet.process import ProcessSpec
from ironclaw_fleet.secretfile import write_private
from ironclaw_fleet.statedir import StateDirectory

SECRET = "bench"

_BASELINE = """
import sys, uvicorn
from litestar import Litestar, Request, post

@post("/", status_code=200)
async def take(request: Request) -> dict[str, bool]:
    await request.body()
    return {"ok": True}

uvicorn.run(Litestar([take]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


class Stand:
    """A running PostgreSQL and a folder of keys; services are started on them."""

    def __init__(self, state: StateDirectory, postgres: EmbeddedPostgres, stack: AsyncExitStack) -> None:
        self.state = state
        self._postgres = postgres
        self._stack = stack
        self.port_base = free_port_row()

    def port_of(self, service: Service) -> int:
        """Return where a service listens."""
        return self.port_base + SERVICE_PORTS[service] - SERVICE_PORTS[Service.API_GATEWAY]

    def token(self, caller: Service, audience: Service) -> str:
        """Return a fresh token of a caller's."""
        return Identity.load(caller, self.state.keys).token_for(audience)

    @property
    def admin(self) -> str:
        """The superuser's URL of the services' database."""
        return self._postgres.url(DATABASE)

    async def database(self, name: str) -> str:
        """Create an empty database; return the superuser's URL of it."""
        admin = await asyncpg.connect(self._postgres.url("postgres"))
        try:
            await admin.execute(f"create database {name}")
        finally:
            await admin.close()
        return self._postgres.url(name)

    async def service(self, service: Service, **settings: str) -> str:
        """Migrate and start a service; return its own database URL. `settings` are environment variables."""
        name = f"IRONCLAW_{service.value.upper()}"
        urls = await ensure_roles(
            await ensure_database(self._postgres.url("postgres")), service.value, self.state.keys
        )
        env = {name: value for name, value in os.environ.items() if not name.startswith("IRONCLAW_")}
        env |= {
            "IRONCLAW_HOME": str(self.state.path),
            "IRONCLAW_PORT_BASE": str(self.port_base),
            "IRONCLAW_LOG_LEVEL": "warning",
            f"{name}_DATABASE_URL": urls.app,
            **settings,
        }
        await migrate_service(service, urls.owner, env)
        log = self.state.logs / f"{service.value}.log"
        port = self.port_of(service)
        argv = [sys.executable, "-m", f"ironclaw_{service.value}"]
        spec = ProcessSpec(name=service.value, argv=argv, env=env, log_path=log, ready=lambda: is_ready(port))
        await self._stack.enter_async_context(_running(spec))
        return urls.app

    async def litestar(self) -> int:
        """Start an empty Litestar POST, on uvicorn with uvloop and httptools; return its port."""
        port = free_port()
        argv = [sys.executable, "-c", _BASELINE, str(port)]
        log = self.state.logs / "baseline.log"

        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        spec = ProcessSpec(name="baseline", argv=argv, env=dict(os.environ), log_path=log, ready=answers)
        await self._stack.enter_async_context(_running(spec))
        return port


@asynccontextmanager
async def standing() -> AsyncGenerator[Stand]:
    """Hold PostgreSQL and what is started on it while the context is open."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp")))
        folder.chmod(0o711)
        state = StateDirectory(folder / "state")
        state.create()
        for service in Service:
            create_key(state.keys, service.value)
        write_private(state.signing_secrets, SECRET)
        postgres = EmbeddedPostgres(state, free_port())
        postgres.prepare()
        await stack.enter_async_context(_running(postgres.spec()))
        yield Stand(state, postgres, stack)


@asynccontextmanager
async def _running(spec: ProcessSpec) -> AsyncGenerator[None]:
    with spec.log_path.open("ab") as log:
        process = subprocess.Popen(
            spec.argv,
            env=spec.env,
            cwd=spec.cwd,
            stdout=log,
            stderr=log,
            user=spec.user,
            group=spec.user,
            extra_groups=None if spec.user is None else [],
        )
    try:
        async with asyncio.timeout(60):
            while not await spec.ready():
                if process.poll() is not None:
                    raise SystemExit(f"{spec.name} ended: {spec.log_path.read_text()[-2000:]}")
                await asyncio.sleep(0.05)
        yield
    finally:
        process.send_signal(spec.stop_signal)
        process.wait(20)
