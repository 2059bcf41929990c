"""What each process of a fleet sees of the environment: its own settings and the shared ones, no more."""

from collections.abc import Mapping
from pathlib import Path

from ironclaw_chassis.settings import ADDRESS_NAMES, PREFIX
from ironclaw_contracts.enums import Service
from ironclaw_fleet.statedir import StateDirectory

WITH_REDIS = frozenset(
    {Service.API_GATEWAY, Service.CO, Service.WORKER, Service.DUTY_OFFICER, Service.SENTINEL}
)
WITH_MODEL = frozenset({Service.CO, Service.WORKER})
WITH_SIGNING = frozenset({Service.CO, Service.OPENCLAWDBOT})
_SIGNING_NAMES = ("MILESTONE_SIGNING_SECRET", "MILESTONE_SIGNING_SECRET_FILE")
_MODEL_KEY = "IOINTELLIGENCE_API_KEY"
_MODEL_NAMES = (
    *(_MODEL_KEY, "IRONCLAW_MODEL_BASE_URL", "IRONCLAW_MODEL_NAME", "IRONCLAW_MODEL_CASSETTE"),
    *("IRONCLAW_MODEL_PRICES_FILE", "IRONCLAW_MODEL_OUTPUT_TOKENS_MAX", "IRONCLAW_MODEL_CONCURRENCY"),
)
_APPLESEED_KEY = "APPLESEED_API_KEY"
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")
_TELEMETRY_PREFIX = "OTEL_"  # the names of the OpenTelemetry SDK
_TELEMETRY_ON = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ADDRESSES = frozenset(ADDRESS_NAMES.values())
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
# What every service runs on, and what some import late: the relay and the validator speak MCP at all times.
_SHARED_MODULES = (
    *("uvloop", "uvicorn.lifespan.on", "uvicorn.protocols.http.httptools_impl"),
    *("mcp", "mcp.client.streamable_http", "mcp.server.lowlevel", "mcp.server.streamable_http_manager"),
)


class Environments:
    """Takes the environment of the whole fleet apart. `allowed_roots` are for the vault."""

    def __init__(
        self,
        state: StateDirectory,
        port_base: int,
        environ: Mapping[str, str],
        allowed_roots: tuple[Path, ...] = (),
    ) -> None:
        self._state = state
        self._port_base = port_base
        self._environ = environ
        self._allowed_roots = allowed_roots

    def of_process(self, service: Service, database_url: str | None, redis_url: str) -> dict[str, str]:
        """Return what a process of a service sees."""
        env = self.of_service(service)
        own = f"{PREFIX}{service.value.upper()}_"
        if database_url is not None:
            env[f"{own}DATABASE_URL"] = database_url
        if service in WITH_REDIS:
            env["REDIS_URL"] = redis_url
        if service in WITH_MODEL:
            env |= self._given(_MODEL_NAMES)
        if service in WITH_SIGNING:
            env["MILESTONE_SIGNING_SECRET_FILE"] = str(self._state.signing_secrets)
            env |= self._given(_SIGNING_NAMES)
        if service is Service.OPENCLAWDBOT:
            env.setdefault(f"{own}NODES_FILE", str(self._state.node_registry))
        if service is Service.LEARNING:
            env |= self._given((_APPLESEED_KEY,))
        if service is Service.API_GATEWAY:
            env[f"{own}BOOTSTRAP_KEY_FILE"] = str(self._state.operator_key)
        if service is Service.VAULT and self._allowed_roots:
            roots = [str(root) for root in self._allowed_roots]
            env[f"{own}ALLOWED_ROOTS"] = ",".join([*roots, env.get(f"{own}ALLOWED_ROOTS", "")]).strip(",")
        return env

    def of_service(self, service: Service) -> dict[str, str]:
        """Return what a service sees before it is given a secret: its settings and the shared ones."""
        others = tuple(f"{PREFIX}{other.value.upper()}_" for other in Service if other is not service)
        env = {
            name: value
            for name, value in self._environ.items()
            if name in _PASSED_ON
            or name.startswith(_TELEMETRY_PREFIX)
            or name in _ADDRESSES
            or (name.startswith(PREFIX) and not name.startswith(others) and name not in _MODEL_NAMES)
        }
        env.pop("IRONCLAW_API_KEY", None)
        return (
            env
            | _UNBUFFERED
            | {
                "IRONCLAW_HOME": str(self._state.path),
                "IRONCLAW_PORT_BASE": str(self._port_base),
            }
        )

    def of_fork_server(self) -> dict[str, str]:
        """Return what the process sees from which all services are forked: nothing that one may not see."""
        return self._given(_PASSED_ON) | _UNBUFFERED

    def shared_modules(self, services: list[Service]) -> list[str]:
        """Return what is worth importing once for these services."""
        modules = [*(f"ironclaw_{service.value}.app" for service in services), *_SHARED_MODULES]
        if self._environ.get(_MODEL_KEY):
            modules.append("openai")
        if self._environ.get(_TELEMETRY_ON):
            modules.append("ironclaw_chassis.otlp")
        return modules

    def _given(self, names: tuple[str, ...]) -> dict[str, str]:
        return {name: self._environ[name] for name in names if self._environ.get(name)}
