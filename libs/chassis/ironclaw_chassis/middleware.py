"""One middleware for every request: request id, trace context, figures, access log."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ironclaw_chassis.metrics import REQUEST_SECONDS
from ironclaw_chassis.tracing import HEADER, span
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.enums import Service

log = structlog.get_logger()

EDGES = frozenset({Service.API_GATEWAY, Service.OPENCLAWDBOT})
"""Where requests come in from outside: a trace begins there. Inside, only what is part of one is traced."""

_REQUEST_ID = b"x-request-id"
_TRACEPARENT = HEADER.encode()
_QUIET_PATHS = frozenset({"/health", "/ready", "/metrics"})


def request_context(service: Service) -> Callable[[ASGIApp], ASGIApp]:
    """Return a wrapper by which each request has an id, a span, a figure and one line in the log."""
    begin = service in EDGES

    def wrap(app: ASGIApp) -> ASGIApp:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = dict(scope["headers"])
            given = headers.get(_REQUEST_ID, b"").decode("latin-1")
            request_id = given if 0 < len(given) <= 64 and given.isprintable() else secrets.token_hex(16)
            name, form = _endpoint_of(scope)
            started, status = time.perf_counter(), 0

            async def send_with_id(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [*message["headers"], (_REQUEST_ID, request_id.encode("latin-1"))]
                await send(message)

            quiet = scope["path"] in _QUIET_PATHS
            parent = headers.get(_TRACEPARENT, b"").decode("latin-1")
            attributes = {
                "http.request.method": scope["method"],
                "http.route": str(scope.get("path_template", "")),
            }
            with (
                span(
                    name, "server", parent=parent, begin=begin and not quiet, attributes=attributes
                ) as traced,
                structlog.contextvars.bound_contextvars(request_id=request_id),
            ):
                try:
                    await app(scope, receive, send_with_id)
                finally:
                    seconds = time.perf_counter() - started
                    traced.set("http.response.status_code", status)
                    if not quiet:
                        if form not in {"events", "lines"}:  # those last as long as their reader likes
                            REQUEST_SECONDS.labels(name, str(status)).observe(seconds)
                        log.info(
                            "request",
                            method=scope["method"],
                            path=scope["path"],
                            status=status,
                            ms=round(seconds * 1000, 1),
                        )

        return handle

    return wrap


def _endpoint_of(scope: Scope) -> tuple[str, str]:
    """Return an endpoint's name and form; its declaration's, or what the handler is called."""
    handler: Any = scope.get("route_handler")  # absent where no route was found
    endpoint = handler.opt.get("endpoint") if handler is not None else None
    if isinstance(endpoint, Endpoint):
        return endpoint.name, endpoint.form
    named = getattr(handler, "name", None)
    return (named.rpartition(".")[2] if named else "other"), "foreign"
