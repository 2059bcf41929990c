"""A connection to a fleet's gateway, found through the environment or the state directory."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest, Forbidden, NotFound, Problem, Unauthenticated, Unavailable
from ironclaw_fleet.statedir import StateDirectory

if TYPE_CHECKING:
    from ironclaw_chassis.client import ServiceClient

EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED = 1, 2, 3, 4


class Failed(Exception):
    """The command did its work and the outcome is bad; the message, if any, goes to standard error."""

    def __init__(self, message: str = "", code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(problem: Problem) -> int:
    """Return the exit code for an error of the gateway."""
    match problem:
        case BadRequest():
            return EXIT_USAGE
        case Unauthenticated() | Forbidden():
            return EXIT_REFUSED
        case Unavailable():
            return EXIT_UNREACHABLE
        case _:
            return EXIT_FAILED


_LISTED_BY = {
    "run": "ironclaw runs",
    "order": "ironclaw orders",
    "theater": "ironclaw theater list",
    "escalation": "ironclaw escalations list --state all",
    "key": "ironclaw keys list",
    "dead letter": "ironclaw milestones list",
    "node": "ironclaw openclaw nodes",
}
"""Kind of thing that is not there -> the verb that lists those that are."""


def told(problem: Problem) -> str:
    """Return what is said of an error of the gateway, with the next step."""
    said = problem.message
    match problem:
        case NotFound():
            kinds = (kind for kind in _LISTED_BY if said.startswith(f"there is no {kind} "))
            kind = next(kinds, None)
            return said if kind is None or "ironclaw " in said else f"{said}; see: {_LISTED_BY[kind]}"
        case Unauthenticated():
            return f"{said}; is IRONCLAW_API_KEY right? An operator makes one: ironclaw keys create NAME"
        case Unavailable() if "cannot be reached" in said and os.environ.get("IRONCLAW_URL"):
            return f"{said}; is a fleet running at IRONCLAW_URL={os.environ['IRONCLAW_URL']}?"
        case Unavailable():
            return f"{said}; see: ironclaw status, ironclaw logs"
        case _:
            return said


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
async def gateway(home: Path | None = None) -> AsyncGenerator["ServiceClient"]:
    """Open a client of the gateway. Raises `Failed` when there is none, or no key for it."""
    from ironclaw_chassis.client import ServiceClient

    url, key = reached(os.environ, StateDirectory.locate(home))
    async with ServiceClient(KeyCredentials(key), GatewayAddress(url)) as client:
        yield client


def reached(environ: Mapping[str, str], state: StateDirectory) -> tuple[str, str]:
    """Return the gateway's URL and the key to show.

    `IRONCLAW_URL` and `IRONCLAW_API_KEY` name them; otherwise the fleet of the state directory and its
    operator's key. That key is shown to no other gateway. Raises `Failed` with the next step.
    """
    url, key = environ.get("IRONCLAW_URL"), environ.get("IRONCLAW_API_KEY", "").strip()
    if url:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise Failed(f"IRONCLAW_URL {url!r}: write it as http://HOST:PORT", EXIT_USAGE)
    else:
        fleet = state.read_fleet()
        if fleet is None:
            raise Failed(
                f"no fleet runs on {state.path}; start one with: ironclaw up, or set IRONCLAW_URL",
                EXIT_UNREACHABLE,
            )
        url = fleet.gateway_url
    return url, _checked(key) if key else _operators(url, state)


def _checked(key: str) -> str:
    if not key.isascii() or not key.isprintable():
        raise Failed("IRONCLAW_API_KEY holds characters that no key has; copy it again", EXIT_REFUSED)
    return key


def _operators(url: str, state: StateDirectory) -> str:
    fleet = state.read_fleet()
    if fleet is None or url.rstrip("/") != fleet.gateway_url:
        raise Failed(
            f"no API key for {url}: set IRONCLAW_API_KEY; its operator makes one with: ironclaw keys create",
            EXIT_REFUSED,
        )
    try:
        return state.operator_key.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Failed(
            f"the operator's key {state.operator_key} cannot be read ({error.strerror});"
            " set IRONCLAW_API_KEY to a key of yours",
            EXIT_REFUSED,
        ) from error
