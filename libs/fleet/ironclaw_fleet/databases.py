"""The fleet's database: each service's schema and roles, and its migrations. Doing it again is harmless."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ironclaw_chassis.settings import PREFIX
from ironclaw_contracts.enums import Service
from ironclaw_fleet.embedded.roles import ServiceUrls, ensure_database, ensure_roles

WITH_DATABASE = frozenset(
    {
        Service.LEDGER,
        Service.API_GATEWAY,
        Service.CO,
        Service.INTEGRATION,
        Service.DUTY_OFFICER,
        Service.LEARNING,
        Service.OPENCLAWDBOT,
    }
)
MIGRATION_SECONDS = 60

Run = Callable[[list[str], Mapping[str, str]], Awaitable[tuple[int, bytes]]]
"""Runs a command to its end in an environment; returns its exit code and what it said."""


class MigrationFailed(Exception):
    """The migrations of a service did not go through; the message holds what was said."""


async def prepare_databases(admin_url: str, keys: Path) -> dict[Service, ServiceUrls]:
    """Create the database, and a schema and roles for each service with tables; return the roles' URLs.

    `admin_url` is of a user who may create databases and roles; passwords are kept under `keys`.
    """
    database = await ensure_database(admin_url)
    return {service: await ensure_roles(database, service.value, keys) for service in sorted(WITH_DATABASE)}


async def execute(argv: list[str], env: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a command as a child of this process; it is killed when we are cancelled."""
    process = await asyncio.create_subprocess_exec(
        *argv, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, said


async def migrate_service(
    service: Service,
    owner_url: str,
    env: Mapping[str, str],
    seconds: float = MIGRATION_SECONDS,
    run: Run = execute,
) -> str:
    """Run a service's own migrations as the owner of its schema; return what was said.

    A lock in the database lets one job at a time do it. Raises `MigrationFailed`, also when it takes more
    than `seconds`.
    """
    argv = [sys.executable, "-m", f"ironclaw_{service.value}", "migrate"]
    try:
        async with asyncio.timeout(seconds):
            code, said = await run(argv, {**env, f"{PREFIX}{service.value.upper()}_MIGRATE_URL": owner_url})
    except TimeoutError as error:
        raise MigrationFailed(
            f"the migrations of {service} took more than {seconds:g} s; who holds its tables?"
        ) from error
    text = said.decode(errors="replace")
    if code != 0:
        raise MigrationFailed(f"the migrations of {service} failed with code {code}: {text[-2000:]}")
    return text
