"""Run a service as a process: settings, logs, traces, uvicorn."""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ironclaw_chassis.database import migrate, wait_until_migrated
from ironclaw_chassis.logs import configure_logging
from ironclaw_chassis.settings import DatabaseSettings, ServiceSettings, SettingsError, read_settings
from ironclaw_contracts.enums import Service
from ironclaw_contracts.envelope import failure
from ironclaw_contracts.errors import Unavailable

if TYPE_CHECKING:
    from litestar import Litestar

S = TypeVar("S", bound=ServiceSettings)

_CALLS_MAX = 2048
_WAIT_SECONDS = 90.0
"""For the database and its schema, on start; below what deploy/kubernetes gives a start (120 s)."""
_TOO_MANY = msgspec.json.encode(
    failure(Unavailable.code, f"{_CALLS_MAX} calls are under way; send it again later")
)


def load_settings(service: Service, kind: type[S]) -> S:
    """Read the settings, or end the process with a message that names what is wrong."""
    try:
        return read_settings(kind, service, os.environ)
    except SettingsError as error:
        sys.exit(f"ironclaw {service.value}: {error}")


def run_service(service: Service, kind: type[DatabaseSettings], app: str, migrations: Traversable) -> None:
    """Run a service with a database of its own: `migrate` as argument applies its migrations and ends.

    `app` names the module with `compose`; it is imported only to serve, since migrating needs none of it.
    """
    settings = _begun(service, kind)
    if sys.argv[1:] == ["migrate"]:
        url = settings.migrate_url.reveal() or settings.database_url.reveal()
        asyncio.run(migrate(url, migrations))
        return
    try:
        # Before anything else is opened: a signal ends the process at once.
        asyncio.run(wait_until_migrated(settings.database_url.reveal(), migrations, _WAIT_SECONDS))
    except Unavailable as error:
        sys.exit(f"ironclaw {service.value}: {error.message}")
    except KeyboardInterrupt:
        return
    _run(service, settings, importlib.import_module(app).compose)


def serve(service: Service, kind: type[S], compose: Callable[[S], "Litestar"]) -> None:
    """Run one service until SIGTERM or SIGINT; open requests get two seconds to end."""
    _run(service, _begun(service, kind), compose)


def _begun(service: Service, kind: type[S]) -> S:
    settings = load_settings(service, kind)
    configure_logging(service, settings.log_level, settings.log_format)
    return settings


def _run(service: Service, settings: S, compose: Callable[[S], "Litestar"]) -> None:
    from ironclaw_chassis.app import VERSION
    from ironclaw_chassis.overload import bounded
    from ironclaw_chassis.server import run_server

    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from ironclaw_chassis.otlp import start_export

        start_export(service, VERSION)
    try:
        app = compose(settings)
    except SettingsError as error:
        sys.exit(f"ironclaw {service.value}: {error}")
    except OSError as error:  # a key, mostly
        sys.exit(f"ironclaw {service.value}: {error.filename}: {error.strerror}; see docs/settings.md")
    run_server(
        bounded(app, calls_max=_CALLS_MAX, answer=_TOO_MANY),
        settings.host,
        settings.port or settings.port_of(service),
    )
