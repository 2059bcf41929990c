"""One middleware for every request: request id, trace context, figures, access log."""

import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Histogram

from ironclaw_chassis.logs import request_id as current_request_id
from ironclaw_chassis.metrics import REQUEST_SECONDS
from ironclaw_chassis.tracing import HEADER, span
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.enums import Service

log = structlog.get_logger()

EDGES = frozenset({Service.API_GATEWAY, Service.OPENCLAWDBOT})
"""Where requests come in from outside: a trace begins there. Inside, only what is part of one is traced."""

_REQUEST_ID = b"x-request-id"
_TRACEPARENT = HEADER.encode()
_STREAMS = (b"text/event-stream", b"application/x-ndjson")
_QUIET_PATHS = frozenset({"/health", "/ready", "/metrics"})


def request_context(service: Service) -> Callable[[ASGIApp], ASGIApp]:
    """Return a wrapper by which each request has an id, a span, a figure and one line in the log."""
    begin = service in EDGES
    told = log.bind().info  # what costs nothing where the level leaves it out
    figures: dict[tuple[str, int], Histogram] = {}
    ids = _ids()

    def wrap(app: ASGIApp) -> ASGIApp:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            given, parent = _given_ids(scope["headers"])
            usable = 0 < len(given) <= 64 and given.isprintable()
            request_id = given if usable else next(ids)
            method, path = scope["method"], scope["path"]  # a mounted application sees less of the path
            started, status, streamed = time.perf_counter(), 0, False
            id_header = (_REQUEST_ID, request_id.encode("latin-1"))

            async def send_with_id(message: Message) -> None:
                nonlocal status, streamed
                if message["type"] == "http.response.start":
                    status = message["status"]
                    streamed = _is_stream(message["headers"])
                    message["headers"] = [*message["headers"], id_header]
                await send(message)

            quiet = path in _QUIET_PATHS
            bound = current_request_id.set(request_id)
            with span(
                method,
                "server",
                parent=parent,
                begin=begin and not quiet,
                attributes={"http.request.method": method},
            ) as traced:
                try:
                    await app(scope, receive, send_with_id)
                finally:
                    seconds = time.perf_counter() - started
                    name = _endpoint_of(scope)
                    traced.rename(name)
                    traced.set("http.route", str(scope.get("path_template", "")))
                    traced.set("http.response.status_code", status)
                    if not quiet:
                        if not streamed:  # streams last as long as their reader likes
                            figure = figures.get((name, status))
                            if figure is None:
                                figure = figures[name, status] = REQUEST_SECONDS.labels(name, str(status))
                            figure.observe(seconds)
                        told("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1))
                    current_request_id.reset(bound)

        return handle

    return wrap


def _ids() -> Iterator[str]:
    """Yield ids for requests: this process's own beginning, and a number.

    Random bytes from the kernel for each would cost a system call a request.
    """
    beginning = secrets.token_hex(8)
    return (f"{beginning}{number:016x}" for number in itertools.count())


def _given_ids(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """Return the request id and the trace context that the caller gave, empty where it gave none."""
    request_id = parent = b""
    for name, value in headers:
        if name == _REQUEST_ID:
            request_id = value
        elif name == _TRACEPARENT:
            parent = value
    return request_id.decode("latin-1"), parent.decode("latin-1")


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    return kind.startswith(_STREAMS)


def _endpoint_of(scope: Scope) -> str:
    """Return an endpoint's name once it was routed: its declaration's, or what the handler is called."""
    answered: Any = scope.get("ironclaw.endpoint")  # set by what answers before the router
    if answered is not None:
        return answered.name
    handler: Any = scope.get("route_handler")  # absent where no route was found
    endpoint = handler.opt.get("endpoint") if handler is not None else None
    if isinstance(endpoint, Endpoint):
        return endpoint.name
    named = getattr(handler, "name", None)
    return named.rpartition(".")[2] if named else "other"
