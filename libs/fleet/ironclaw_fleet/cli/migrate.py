"""`ironclaw migrate`: the migration job of a fleet in containers."""

import os

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import ServiceSettings, SettingsError, read_settings
from ironclaw_contracts.enums import Service
from ironclaw_fleet.cli.output import say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")


class JobSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the job reads: an administrator's URL, and where the roles' passwords are kept."""

    database_url: Secret = Secret("")


async def migrate() -> None:
    """Create the database, its roles and schemas, and bring every schema up to date; then end.

    Reads DATABASE_URL (or DATABASE_URL_FILE) of an administrator, and the roles' passwords from
    IRONCLAW_KEYS_DIR. Run it before new services start; two at once wait for each other.
    """
    import asyncpg

    from ironclaw_fleet.databases import MigrationFailed, migrate_service, prepare_databases

    settings = _settings()
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        urls = await prepare_databases(settings.database_url.reveal(), settings.keys)
        for service, url in urls.items():
            await migrate_service(service, url.owner, env | {"IRONCLAW_LOG_FORMAT": settings.log_format})
            say(f"{service}: its schema is up to date")
    except MigrationFailed as error:
        raise Failed(str(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise Failed(f"DATABASE_URL cannot be used ({type(error).__name__}: {error})") from error


def _settings() -> JobSettings:
    # A shared setting's name is the same for every service; the ledger stands for all of them here.
    shared = {name: value for name, value in os.environ.items() if not name.startswith("IRONCLAW_LEDGER_")}
    try:
        settings = read_settings(JobSettings, Service.LEDGER, shared)
    except SettingsError as error:
        raise Failed(str(error), EXIT_USAGE) from error
    if not settings.database_url.reveal():
        raise Failed("DATABASE_URL is not set: give an administrator's URL, or DATABASE_URL_FILE", EXIT_USAGE)
    return settings
