"""The typed client between services: one connection pool, a timeout on every call, retries where safe."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from ironclaw_chassis.settings import ADDRESS_NAMES, ServiceSettings
from ironclaw_chassis.tracing import outgoing_context, span
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.envelope import Envelope
from ironclaw_contracts.errors import Problem, RateLimited, Unavailable, problem_from_code

Body = TypeVar("Body")
Query = TypeVar("Query")
Answer = TypeVar("Answer")

_ATTEMPTS_MAX = 4
_BACKOFF_SECONDS = 0.05
_CONNECTIONS_MAX = 128


class Credentials(Protocol):
    """What a caller shows: a service its token, a person an API key."""

    def token_for(self, audience: Service) -> str:
        """Return the bearer token for a service."""
        ...


class AddressBook(Protocol):
    """Where services are reached."""

    def url(self, service: Service) -> str:
        """Return the base URL of a service, without a slash at the end."""
        ...


class Addresses:
    """Where the services listen: this machine's ports, unless `IRONCLAW_<SERVICE>_URL` says otherwise."""

    def __init__(self, settings: ServiceSettings, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        self._settings = settings
        self._overrides = {s: given[name] for s, name in ADDRESS_NAMES.items() if given.get(name)}

    def url(self, service: Service) -> str:
        """Return the base URL of a service."""
        default = f"http://{self._settings.host}:{self._settings.port_of(service)}"
        return self._overrides.get(service, default).rstrip("/")


class ServiceClient:
    """Calls declared endpoints; one object (and one connection pool) a process."""

    def __init__(self, credentials: Credentials, addresses: AddressBook) -> None:
        self._credentials = credentials
        self._addresses = addresses
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS_MAX, keepalive_timeout=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        endpoint: Endpoint[Body, Query, Answer],
        body: Body | None = None,
        query: Query | None = None,
        **path: str,
    ) -> Answer:
        """Call an endpoint and return its answer.

        Raises the `Problem` that the service answered, or `Unavailable` when it cannot be reached. Idempotent
        endpoints are tried again, with jitter, while the service is unavailable.
        """
        raw = await self._retrying(endpoint, body, query, path)
        if endpoint.form == "bytes":
            return raw  # pyright: ignore[reportReturnType] - Answer is bytes for this form
        envelope = msgspec.json.decode(raw, type=Envelope[endpoint.answer])
        if envelope.data is None:
            raise Unavailable(f"{endpoint.service} answered {endpoint.name} without data")
        return envelope.data

    async def read(
        self, endpoint: Endpoint[Any, Query, Any], query: Query | None = None, **path: str
    ) -> bytes:
        """Return the body of an endpoint of form `foreign` as it came. Raises like `call`."""
        return await self._retrying(endpoint, None, query, path)

    async def lines(
        self, endpoint: Endpoint[Any, Query, Any], query: Query | None = None, **path: str
    ) -> AsyncIterator[bytes]:
        """Iterate over the lines of an endpoint of form `lines` or `events`, as they arrive."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
        try:
            async with self._request(endpoint, None, query, path, timeout) as response:
                await _raise_for(endpoint, response)
                async for line in response.content:
                    yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"{endpoint.service} broke off {endpoint.name}: {type(error).__name__}"
            ) from error

    async def _retrying(
        self, endpoint: Endpoint[Any, Any, Any], body: object, query: object, path: dict[str, str]
    ) -> bytes:
        attempts = _ATTEMPTS_MAX if endpoint.idempotent else 1
        deadline = time.monotonic() + endpoint.timeout_seconds  # of all tries together: callers wait for them
        for attempt in range(1, attempts + 1):
            try:
                return await self._once(endpoint, body, query, path)
            except Unavailable:
                if attempt == attempts or time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_BACKOFF_SECONDS * 2**attempt * (0.5 + random.random()))  # noqa: S311
        raise AssertionError("unreachable")

    async def _once(
        self, endpoint: Endpoint[Any, Any, Any], body: object, query: object, path: dict[str, str]
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=endpoint.timeout_seconds, sock_connect=2)
        attributes = {"peer.service": f"ironclaw-{endpoint.service}", "http.request.method": endpoint.method}
        try:
            with span(f"{endpoint.service}.{endpoint.name}", "client", attributes=attributes):
                async with self._request(endpoint, body, query, path, timeout) as response:
                    await _raise_for(endpoint, response)
                    return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"{endpoint.service} cannot be reached for {endpoint.name}: {type(error).__name__}"
            ) from error

    def _request(
        self,
        endpoint: Endpoint[Any, Any, Any],
        body: object,
        query: object,
        path: dict[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._session is None:
            raise RuntimeError("the client is not open")
        headers = {
            "Authorization": f"Bearer {self._credentials.token_for(endpoint.service)}",
            "Content-Type": "application/json",
            **outgoing_context(),
        }
        filled = endpoint.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        return self._session.request(
            endpoint.method,
            self._addresses.url(endpoint.service) + filled,
            params=_parameters(query),
            data=msgspec.json.encode(body) if endpoint.body is not Nothing else None,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )


def _parameters(query: object) -> dict[str, str]:
    values: dict[str, Any] = msgspec.to_builtins(query) if query is not None else {}
    return {name: str(value) for name, value in values.items() if value is not None}


async def _raise_for(endpoint: Endpoint[Any, Any, Any], response: aiohttp.ClientResponse) -> None:
    """Raise the problem that a response carries."""
    if response.status < 400:
        return
    retry_after = response.headers.get("Retry-After", "")
    seconds = int(retry_after) if retry_after.isdecimal() else None
    raise problem_of(endpoint.name, response.status, await response.read(), seconds)


def problem_of(name: str, status: int, body: bytes, retry_after_seconds: int | None) -> Problem:
    """Return the error in a response body, or one made from its status when it holds no envelope."""
    try:
        error = msgspec.json.decode(body, type=Envelope[Any]).error
    except msgspec.DecodeError:
        error = None
    if error is not None:
        return problem_from_code(error.code, error.message, retry_after_seconds)
    kind = RateLimited if status == 429 else Unavailable
    return kind(f"{name} answered {status} without an envelope", retry_after_seconds=retry_after_seconds)
