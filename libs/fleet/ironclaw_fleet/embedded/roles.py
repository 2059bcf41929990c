"""Least privilege in PostgreSQL: for each service a schema, an owner that migrates, and a role that works.

No service can read another's tables; the working role can create none.
"""

import base64
import hashlib
import hmac
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from msgspec import Struct

from ironclaw_fleet.secretfile import kept_secret

DATABASE = "ironclaw"
_LOCK_KEY = 475_660_291
_SERVICE = re.compile(r"\A[a-z][a-z0-9_]{0,50}\Z")  # goes into SQL as a name, and `_owner` behind it
_SCRAM_ITERATIONS = 4096  # PostgreSQL's own; the passwords are random, so more would only cost time


class ServiceUrls(Struct, frozen=True):
    """How a service reaches its schema: as the role that works, and as the owner that migrates."""

    app: str
    owner: str


async def ensure_database(admin_url: str) -> str:
    """Create the database if it is missing and return its admin URL."""
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        # Two jobs at once: the second waits, and finds it there. The lock goes with the connection.
        await connection.execute(f"select pg_advisory_lock({_LOCK_KEY})")
        if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
            await connection.execute(f"create database {DATABASE}")
    finally:
        await connection.close()
    return _with(admin_url, database=DATABASE)


async def ensure_roles(database_url: str, service: str, keys: Path) -> ServiceUrls:
    """Create a service's schema and roles in a database, or bring them up to date.

    The URL's user is a superuser, or one who may create roles and owns the database. Passwords are kept
    under `keys`. Raises `ValueError` for a service that cannot be the name of a schema.
    """
    if not _SERVICE.match(service):
        raise ValueError(f"service {service!r}: use lower-case letters, digits and _, a letter first")
    owner, app = f"{service}_owner", service
    passwords = {role: kept_secret(keys / f"{role}.password") for role in (owner, app)}
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute(f"select pg_advisory_xact_lock({_LOCK_KEY})")
            for role, password in passwords.items():
                exists = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
                verb = "alter" if exists else "create"
                verifier = scram_verifier(password, secrets.token_bytes(16))
                await connection.execute(f"{verb} role {role} login password '{verifier}'")
            if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
                # Only a member may make things belong to a role.
                await connection.execute(f"grant {owner}, {app} to current_user")
            for role in passwords:
                await connection.execute(f"alter role {role} set search_path = {service}")
            database = await connection.fetchval("select quote_ident(current_database())")
            for statement in _GRANTS:
                await connection.execute(
                    statement.format(schema=service, owner=owner, app=app, database=database)
                )
    finally:
        await connection.close()
    return ServiceUrls(
        app=_with(database_url, user=app, password=passwords[app]),
        owner=_with(database_url, user=owner, password=passwords[owner]),
    )


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803); so the server and its log never see it.

    The password is ASCII: others would have to be prepared first (RFC 4013).
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${iterations}:{}${}:{}".format(*text, iterations=_SCRAM_ITERATIONS)


_GRANTS = (
    "revoke all on database {database} from public",
    "grant connect on database {database} to {owner}, {app}",
    "revoke all on schema public from public",
    "create schema if not exists {schema}",
    "alter schema {schema} owner to {owner}",
    "grant usage on schema {schema} to {app}",
    "alter default privileges for role {owner} in schema {schema}"
    " grant select, insert, update, delete on tables to {app}",
    "alter default privileges for role {owner} in schema {schema} grant usage on sequences to {app}",
)


def _with(
    url: str, *, user: str | None = None, password: str | None = None, database: str | None = None
) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credentials = f"{user}:{password}" if user else parts.netloc.rpartition("@")[0]
    netloc = f"{credentials}@{host}" if credentials else host
    return urlunsplit((parts.scheme, netloc, f"/{database}" if database else parts.path, parts.query, ""))
