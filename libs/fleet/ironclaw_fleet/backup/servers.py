"""The database of a fleet, running or not."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import ensure_database
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor


@asynccontextmanager
async def database_of(state: StateDirectory, environ: Mapping[str, str]) -> AsyncGenerator[str]:
    """Yield an administrator's URL of the fleet's database.

    That of `DATABASE_URL`, of the embedded server that runs on the state directory, or of one that runs while
    the context is open. Raises `FleetRuns` when a fleet is just starting, and what the server raises.
    """
    given = environ.get("DATABASE_URL")
    if given:
        yield await ensure_database(given)
        return
    running = EmbeddedPostgres.running(state)
    if running is not None and await running.answers():
        yield await ensure_database(running.url("postgres"))
        return
    with state.held():
        server = EmbeddedPostgres(state, free_port())
        server.prepare()
        supervisor = Supervisor()
        try:
            supervisor.add(server.spec())
            await supervisor.wait_ready("postgres")
            yield await ensure_database(server.url("postgres"))
        finally:
            await supervisor.stop()
