"""PostgreSQL: connection pools and forward-only migrations."""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib.resources.abc import Traversable

import asyncpg
import structlog
from msgspec import Struct

from ironclaw_contracts.errors import Unavailable

log = structlog.get_logger()

_FILE_NAME = re.compile(r"\A(\d{4})_[a-z0-9_]+\.sql\Z")
_CLOSE_SECONDS = 3
_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 30.0  # each connection is a process of PostgreSQL's, of two megabytes
# InternalClientError is what asyncpg raises when the server dies between two steps of an exchange.
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_LOCK_KEY = 0x1C1A_0001
_TABLE = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(Exception):
    """The migrations on disk and those applied disagree; the message names the file."""


class Migration(Struct, frozen=True):
    """One numbered SQL file."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Digest of the file, so that a changed one is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@asynccontextmanager
async def available(what: str) -> AsyncGenerator[None]:
    """Turn whatever a database or its connection raises into `Unavailable`; `what` names it."""
    try:
        yield
    except _AWAY as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A connection that breaks while it is given back must not hide that we are being stopped.
            raise asyncio.CancelledError from error
        raise Unavailable(f"{what} is away: {type(error).__name__}") from error


async def close_pool(pool: asyncpg.Pool) -> None:
    """Close a pool; connections that do not end in time are cut."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def open_pool(
    url: str, *, size_max: int = 8, settings: Mapping[str, str] | None = None
) -> asyncpg.Pool:
    """Open a pool whose waits are bounded: connecting and each statement have a timeout.

    Connections are given back as they are, so no statement may change its session beyond its transaction:
    asyncpg's reset is a round trip of four commands after each use. `settings` are those of the sessions.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size_max,
        timeout=5,
        command_timeout=60,
        max_inactive_connection_lifetime=_IDLE_SECONDS,
        reset=_give_back,
        server_settings=dict(settings or {}),
    )


async def _give_back(_: object) -> None:
    """Nothing to undo: asyncpg itself rolls back what is open and forgets listeners."""


async def wait_until_migrated(url: str, folder: Traversable, seconds: float) -> None:
    """Return once the database has the schema that this program needs, or a newer one.

    Where nothing orders the starts (Swarm, Kubernetes), services come before the migration. One that ended
    for that would be started again and again, and keep the machine from the migration. Raises `Unavailable`
    when `seconds` have passed; what is waited for is logged when it changes.
    """
    version, end, said = len(read_migrations(folder)), time.monotonic() + seconds, ""
    while True:
        try:
            reason = await _lacking(url, version)
        except Unavailable as error:
            reason = error.message
        if not reason:
            return
        if time.monotonic() >= end:
            raise Unavailable(reason)
        if reason != said:
            log.warning("waiting for the database", reason=reason)
            said = reason
        await asyncio.sleep(_LOOK_SECONDS)


async def _lacking(url: str, version: int) -> str:
    """Return what the database lacks for a program that needs `version`; empty when it lacks nothing."""
    async with available("the database"):
        connection = await asyncpg.connect(url, timeout=5)
        try:
            known = await connection.fetchval("select to_regclass('schema_migrations') is not null")
            found = await connection.fetchval("select max(version) from schema_migrations") if known else 0
        finally:
            await connection.close(timeout=_CLOSE_SECONDS)
    found = found or 0
    return "" if found >= version else f"its schema is at {found}, this program needs {version}: migrate it"


def read_migrations(folder: Traversable) -> list[Migration]:
    """Read `NNNN_what.sql` files in order. Raises `MigrationError` at a gap or a badly named file."""
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    migrations: list[Migration] = []
    for expected, file in enumerate(files, start=1):
        match = _FILE_NAME.match(file.name)
        if match is None or int(match[1]) != expected:
            raise MigrationError(f"{file.name}: migrations are numbered from 0001 without gaps")
        migrations.append(Migration(version=expected, name=file.name, sql=file.read_text(encoding="utf-8")))
    return migrations


def pending(migrations: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """Return what is to be applied. Raises `MigrationError` when an applied file was changed since."""
    for migration in migrations:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            raise MigrationError(f"{migration.name} was changed after it was applied; add a new file instead")
    if applied and max(applied) > len(migrations):
        raise MigrationError(
            f"the database is at {max(applied)}, this program knows {len(migrations)}: upgrade it"
        )
    return [m for m in migrations if m.version not in applied]


async def migrate(url: str, folder: Traversable, until: int | None = None) -> int:
    """Apply what is missing, each file in a transaction, under a lock; return how many were applied.

    `until` stops at a version, to take in what was written at that one. Raises `MigrationError`.
    """
    migrations = read_migrations(folder)
    if until is not None:
        if until > len(migrations):
            raise MigrationError(
                f"version {until} is asked for, this program knows {len(migrations)}: upgrade it"
            )
        migrations = migrations[:until]
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(_TABLE)
        rows = await connection.fetch("select version, sha256 from schema_migrations")
        missing = pending(migrations, {row["version"]: row["sha256"] for row in rows})
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into schema_migrations (version, name, sha256) values ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.sha256,
                )
            log.info("migrated", migration=migration.name)
        return len(missing)
    finally:
        await connection.close()
