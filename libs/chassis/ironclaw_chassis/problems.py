"""Errors on the wire: one place renders every error as the envelope, and none of bad input as a 5xx."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.types import ExceptionHandlersMap

from ironclaw_contracts.envelope import failure
from ironclaw_contracts.errors import (
    BadRequest,
    Conflict,
    Internal,
    NotFound,
    Problem,
    TooLarge,
    Unavailable,
)

log = structlog.get_logger()

_OF_STATUS: dict[int, type[Problem]] = {404: NotFound, 409: Conflict, 413: TooLarge, 503: Unavailable}


def _body_is_missing(details: list[Any]) -> bool:
    """Tell whether Litestar's complaint is that no body came; it only names its own parameter then."""
    return any(isinstance(d, dict) and d.get("message") == "'data'" for d in details)


def as_problem(error: Exception) -> Problem:
    """Return the problem that any exception is to its caller."""
    match error:
        case Problem():
            return error
        case ValidationException():
            details = error.extra if isinstance(error.extra, list) else []
            if _body_is_missing(details):
                return BadRequest("the body is missing: send a JSON object")
            text = "; ".join(str(d.get("message", d)) if isinstance(d, dict) else str(d) for d in details)
            return BadRequest(text or error.detail)
        case RecursionError():
            return BadRequest("the body is nested too deeply")
        case UnicodeDecodeError():
            return BadRequest("the body is not UTF-8")
        case msgspec.DecodeError() | SerializationException():
            return BadRequest(f"the body is not what this endpoint takes: {error}")
        case HTTPException() if error.status_code == 405:
            return BadRequest("this path does not take that method")
        case HTTPException():
            kind = _OF_STATUS.get(error.status_code)
            if kind is None:
                kind = BadRequest if error.status_code < 500 else Internal
            return kind(error.detail)
        case OSError():
            # A closed connection to PostgreSQL or Redis: the caller retries.
            return Unavailable("a dependency is away; retry in a moment")
        case _:
            return Internal("something failed on our side; the log has it under this request's id")


def problem_of(error: Exception, path: str) -> Problem:
    """Return what an error is for the caller; log it when it is ours."""
    problem = as_problem(error)
    if problem.status >= 500:
        log.error("request failed", path=path, code=problem.code, exc_info=error)
    return problem


def render(request: Request[Any, Any, Any], error: Exception) -> Response[object]:
    """Answer an error as its envelope."""
    problem = problem_of(error, request.url.path)
    status = 405 if isinstance(error, HTTPException) and error.status_code == 405 else problem.status
    headers = {"Retry-After": str(problem.retry_after_seconds)} if problem.retry_after_seconds else {}
    return Response(
        failure(problem.code, problem.message),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: render}
