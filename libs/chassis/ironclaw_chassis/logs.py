"""Logs are events: a short constant message and fields; JSON for machines, plain lines for a terminal."""

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

from ironclaw_chassis import tracing
from ironclaw_contracts.enums import Service

request_id: ContextVar[str | None] = ContextVar("ironclaw_request_id", default=None)
"""Id of the request that is being answered."""


def with_request(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the request that is being answered."""
    found = request_id.get()
    if found is not None:
        fields["request_id"] = found
    return fields


def with_trace(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the current trace, so that a log line leads to its trace and back."""
    context = tracing.current()
    if context is not None:
        fields["trace_id"], fields["span_id"] = context.trace_id, context.span_id
    return fields


def configure_logging(service: Service, level: str, form: str) -> None:
    """Set up structlog for the process. `form` is `json` or `console`."""
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            with_request,
            with_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service.value)
