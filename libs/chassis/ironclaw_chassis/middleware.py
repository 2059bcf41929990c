"""One middleware for every request: request id, trace context, access log."""

import secrets
import time
from contextlib import nullcontext

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from ironclaw_chassis.telemetry import start_span

log = structlog.get_logger()

_REQUEST_ID = b"x-request-id"
_QUIET_PATHS = frozenset({"/health", "/ready"})


def request_context(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that each request has an id, a span and one line in the log."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(_REQUEST_ID, b"").decode("latin-1")
        request_id = given if 0 < len(given) <= 64 and given.isprintable() else secrets.token_hex(16)
        carrier = {"traceparent": headers.get(b"traceparent", b"").decode("latin-1")}
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_REQUEST_ID, request_id.encode("latin-1"))]
            await send(message)

        span = start_span(scope["method"], carrier, SpanKind.SERVER)
        with (
            trace.use_span(span, end_on_exit=True) if span is not trace.INVALID_SPAN else nullcontext(),
            structlog.contextvars.bound_contextvars(request_id=request_id),
        ):
            try:
                await app(scope, receive, send_with_id)
            finally:
                if scope["path"] not in _QUIET_PATHS:
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        ms=round((time.perf_counter() - started) * 1000, 1),
                    )

    return handle
