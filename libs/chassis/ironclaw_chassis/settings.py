"""Settings: one frozen struct a service, read once from the environment.

A field `lease_seconds` of the worker is read from `IRONCLAW_WORKER_LEASE_SECONDS`, else from its shared name
in `SHARED`. A secret may also stand in a file that the name with `_FILE` behind it names, as containers are
given theirs. An `IRONCLAW_*` name that nothing reads is an error, so that a misspelt one is not ignored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from ironclaw_chassis.secret import Secret
from ironclaw_contracts.enums import SERVICE_PORTS, Service

PREFIX = "IRONCLAW_"

SHARED: dict[str, str] = {
    "home": "IRONCLAW_HOME",
    "garrison_id": "IRONCLAW_GARRISON_ID",
    "host": "IRONCLAW_HOST",
    "port_base": "IRONCLAW_PORT_BASE",
    "keys_dir": "IRONCLAW_KEYS_DIR",
    "log_level": "IRONCLAW_LOG_LEVEL",
    "log_format": "IRONCLAW_LOG_FORMAT",
    "database_url": "DATABASE_URL",
    "redis_url": "REDIS_URL",
    "model_base_url": "IRONCLAW_MODEL_BASE_URL",
    "model_name": "IRONCLAW_MODEL_NAME",
    "model_api_key": "IOINTELLIGENCE_API_KEY",
    "model_prices_file": "IRONCLAW_MODEL_PRICES_FILE",
    "model_output_tokens_max": "IRONCLAW_MODEL_OUTPUT_TOKENS_MAX",
    "model_concurrency": "IRONCLAW_MODEL_CONCURRENCY",
    "model_cassette": "IRONCLAW_MODEL_CASSETTE",
    "lease_seconds": "IRONCLAW_LEASE_SECONDS",
    "sandbox": "IRONCLAW_SANDBOX",
    "heartbeat_seconds": "IRONCLAW_HEARTBEAT_SECONDS",
    "poi_required": "IRONCLAW_POI_REQUIRED",
    "policy_autopromote": "IRONCLAW_POLICY_AUTOPROMOTE",
    "appleseed_api_key": "APPLESEED_API_KEY",
    "signing_secret": "MILESTONE_SIGNING_SECRET",
    "signing_secret_file": "MILESTONE_SIGNING_SECRET_FILE",
}
"""Field → the name under which several services read it."""

FOREIGN_NAMES = frozenset({"IRONCLAW_API_KEY", "IRONCLAW_URL"})
"""Names that only the command line reads."""

ADDRESS_NAMES: dict[Service, str] = {service: f"IRONCLAW_{service.value.upper()}_URL" for service in Service}
"""Service → the name that says where it listens, when not on this machine's own port."""

FILE_SUFFIX = "_FILE"
_SECRET_BYTES_MAX = 64 * 1024

S = TypeVar("S", bound="ServiceSettings")


class SettingsError(Exception):
    """The environment does not make sense; the message names the variable and the mend."""


class ServiceSettings(Struct, frozen=True, kw_only=True):
    """What every service reads. `port` replaces the service's standard one, for a second replica."""

    home: str = ".ironclaw"
    garrison_id: str = "local"
    host: str = "127.0.0.1"
    port_base: int = SERVICE_PORTS[Service.API_GATEWAY]
    port: int = 0
    keys_dir: str = ""
    log_level: str = "info"
    log_format: str = "json"
    heartbeat_seconds: Annotated[float, Meta(gt=0)] = 30.0

    @property
    def keys(self) -> Path:
        """Folder of the service keys."""
        return Path(self.keys_dir) if self.keys_dir else Path(self.home) / "keys"

    def port_of(self, service: Service) -> int:
        """Return the port of a service on this machine."""
        return self.port_base + SERVICE_PORTS[service] - SERVICE_PORTS[Service.API_GATEWAY]


class DatabaseSettings(ServiceSettings, frozen=True, kw_only=True):
    """What a service with tables of its own reads: its role's URL, and the owner's for migrations."""

    database_url: Secret = Secret("")
    migrate_url: Secret = Secret("")
    pool_size: int = 8


def _decode_secret(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(str(value))
    raise TypeError(f"cannot read a setting of type {kind}")


def variable_names(service: Service, kind: type[ServiceSettings]) -> dict[str, tuple[str, ...]]:
    """Return, for each field, the environment variables that set it, the strongest first."""
    names: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(kind):
        own = f"{PREFIX}{service.value.upper()}_{field.name.upper()}"
        shared = SHARED.get(field.name)
        names[field.name] = (own, shared) if shared else (own,)
    return names


def file_names(service: Service, kind: type[ServiceSettings]) -> dict[str, str]:
    """Return, for each variable that holds a secret, the one that names a file with it instead."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {
        name: name + FILE_SUFFIX
        for field, group in variable_names(service, kind).items()
        if fields[field] is Secret
        and field + FILE_SUFFIX.lower() not in fields  # a service may read it itself
        for name in group
    }


def read_settings(kind: type[S], service: Service, environ: Mapping[str, str]) -> S:
    """Read a service's settings. Raises `SettingsError` naming the variable that is wrong or unknown."""
    names = variable_names(service, kind)
    files = file_names(service, kind)
    known = {name for group in names.values() for name in group} | set(SHARED.values()) | FOREIGN_NAMES
    known |= set(ADDRESS_NAMES.values()) | set(files.values())
    others = tuple(f"{PREFIX}{other.value.upper()}_" for other in Service if other is not service)
    for name in environ:
        if name.startswith(PREFIX) and name not in known and not name.startswith(others):
            raise SettingsError(f"{name} is set, but no setting has that name; see docs/settings.md")
    values = {
        field: value
        for field, group in names.items()
        for name in reversed(group)
        if (value := environ.get(name, "") or _from_file(environ, files.get(name)))
    }
    try:
        return msgspec.convert(values, kind, strict=False, dec_hook=_decode_secret)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings of {service}: {error}; see docs/settings.md") from error


def _from_file(environ: Mapping[str, str], name: str | None) -> str:
    """Return the secret in the file that a variable names; empty when the variable is not set."""
    path = environ.get(name, "") if name else ""
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_SECRET_BYTES_MAX)
        return raw.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {path} cannot be read ({error}); see docs/settings.md") from error
