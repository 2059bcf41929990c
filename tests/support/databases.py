"""Databases of a test's own on the session's PostgreSQL."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import asyncpg

from ironclaw_chassis.database import migrate
from ironclaw_contracts.enums import Service

_templates: set[tuple[str, Service]] = set()


@asynccontextmanager
async def new_database(server_url: str, migrated_for: Service | None = None) -> AsyncIterator[str]:
    """Make a database while the context is open; yields the superuser's URL.

    It is empty, or has the tables of a service: a copy of a database in which its migrations ran once.
    """
    base = server_url.rsplit("/", 1)[0]
    admin = await asyncpg.connect(server_url)
    try:
        template = "template1"
        if migrated_for is not None:
            template = f"migrated_{migrated_for.value}"
            if (base, migrated_for) not in _templates:
                await admin.execute(f"create database {template}")
                await migrate(f"{base}/{template}", files(f"ironclaw_{migrated_for.value}") / "migrations")
                _templates.add((base, migrated_for))
        name = f"test_{os.urandom(6).hex()}"
        await admin.execute(f"create database {name} template {template}")
        try:
            yield f"{base}/{name}"
        finally:
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()
