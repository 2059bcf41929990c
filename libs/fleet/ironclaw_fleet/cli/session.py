"""A connection to a fleet's gateway, found through the environment or the state directory."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Forbidden, Problem, Unauthenticated, Unavailable
from ironclaw_fleet.statedir import StateDirectory

EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED = 1, 2, 3, 4


class Failed(Exception):
    """The command did its work and the outcome is bad; the message, if any, goes to standard error."""

    def __init__(self, message: str = "", code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(problem: Problem) -> int:
    """Return the exit code for an error of the gateway."""
    match problem:
        case Unauthenticated() | Forbidden():
            return EXIT_REFUSED
        case Unavailable():
            return EXIT_UNREACHABLE
        case _:
            return EXIT_FAILED


class KeyCredentials:
    """An API key, shown as it is."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token_for(self, audience: Service) -> str:
        """Return the key; the gateway is the only audience."""
        return self._key


class GatewayAddress:
    """One gateway."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def url(self, service: Service) -> str:
        """Return the gateway's URL."""
        return self._url


@asynccontextmanager
async def gateway(home: Path | None = None) -> AsyncGenerator[ServiceClient]:
    """Open a client of the gateway.

    `IRONCLAW_URL` and `IRONCLAW_API_KEY` name it; otherwise the fleet of the state directory. Raises
    `Failed` when neither is there.
    """
    url, key = os.environ.get("IRONCLAW_URL"), os.environ.get("IRONCLAW_API_KEY")
    state = StateDirectory.locate(home)
    if url is None:
        fleet = state.read_fleet()
        if fleet is None:
            raise Failed(
                f"no fleet runs on {state.path}; start one with: ironclaw up, or set IRONCLAW_URL",
                EXIT_UNREACHABLE,
            )
        url = fleet.gateway_url
    if key is None:
        if not state.operator_key.exists():
            raise Failed(
                "no API key: set IRONCLAW_API_KEY, or make one with: ironclaw keys create", EXIT_REFUSED
            )
        key = state.operator_key.read_text(encoding="utf-8").strip()
    async with ServiceClient(KeyCredentials(key), GatewayAddress(url)) as client:
        yield client
