"""Least privilege in PostgreSQL: for each service a schema, an owner that migrates, and a role that works.

No service can read another's tables; the working role can create none.
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from msgspec import Struct

DATABASE = "ironclaw"


class ServiceUrls(Struct, frozen=True):
    """How a service reaches its schema: as the role that works, and as the owner that migrates."""

    app: str
    owner: str


async def ensure_database(admin_url: str) -> str:
    """Create the database if it is missing and return its admin URL."""
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
            await connection.execute(f"create database {DATABASE}")
    finally:
        await connection.close()
    return _with(admin_url, database=DATABASE)


async def ensure_roles(database_url: str, service: str, keys: Path) -> ServiceUrls:
    """Create a service's schema and roles, or bring them up to date; passwords are kept under `keys`."""
    owner, app = f"{service}_owner", service
    passwords = {role: _password(keys / f"{role}.password") for role in (owner, app)}
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(475660291)")
            for role, password in passwords.items():
                exists = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
                verb = "alter" if exists else "create"
                # The password is made of base64url characters only, so it needs no quoting.
                await connection.execute(f"{verb} role {role} login password '{password}'")
                await connection.execute(f"alter role {role} set search_path = {service}")
            for statement in _GRANTS:
                await connection.execute(statement.format(schema=service, owner=owner, app=app))
    finally:
        await connection.close()
    return ServiceUrls(
        app=_with(database_url, user=app, password=passwords[app]),
        owner=_with(database_url, user=owner, password=passwords[owner]),
    )


_GRANTS = (
    f"revoke all on database {DATABASE} from public",
    f"grant connect on database {DATABASE} to {{owner}}, {{app}}",
    "revoke all on schema public from public",
    "create schema if not exists {schema}",
    "alter schema {schema} owner to {owner}",
    "grant usage on schema {schema} to {app}",
    "alter default privileges for role {owner} in schema {schema}"
    " grant select, insert, update, delete on tables to {app}",
    "alter default privileges for role {owner} in schema {schema} grant usage on sequences to {app}",
)


def _password(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _with(
    url: str, *, user: str | None = None, password: str | None = None, database: str | None = None
) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credentials = f"{user}:{password}" if user else parts.netloc.rpartition("@")[0]
    netloc = f"{credentials}@{host}" if credentials else host
    return urlunsplit((parts.scheme, netloc, f"/{database}" if database else parts.path, parts.query, ""))
