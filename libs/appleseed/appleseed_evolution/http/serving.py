"""`appleseed serve`: the surface as a process of its own."""

import ipaddress
from typing import Any

import structlog
import uvicorn
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException

from appleseed_evolution.http.surface import Surface, error_answer, route_handlers
from appleseed_evolution.workspace import Workspace
from ironclaw_chassis.logs import configure_logging
from ironclaw_chassis.middleware import request_context
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest, Internal, NotFound, Problem

log = structlog.get_logger()

_DRAIN_SECONDS = 2


def create_app(workspace: Workspace, *, api_key: Secret | None) -> Litestar:
    """Return the application: the surface, and errors in the form that field clients read."""
    return Litestar(
        route_handlers=route_handlers(Surface(workspace, api_key=api_key)),
        middleware=[request_context],
        exception_handlers={Exception: _render},
        openapi_config=None,
        logging_config=None,
    )


def serve(workspace: Workspace, *, host: str, port: int, api_key: Secret | None) -> None:
    """Serve until SIGTERM or SIGINT. Raises `BadRequest` when others could write evidence without a key."""
    if api_key is None and not _is_loopback(host):
        raise BadRequest(
            f"{host} can be reached from other machines: set APPLESEED_API_KEY, or listen on 127.0.0.1"
        )
    configure_logging(Service.LEARNING, "info", "json")
    uvicorn.run(
        create_app(workspace, api_key=api_key),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


def _render(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    status, problem = _as_problem(error)
    if status >= 500:
        log.error("request failed", path=request.url.path, exc_info=error)
    answer = error_answer(problem)
    return Response(
        answer.body, status_code=status, media_type="application/json", headers=dict(answer.headers)
    )


def _as_problem(error: Exception) -> tuple[int, Problem]:
    match error:
        case Problem():
            return error.status, error
        case HTTPException() if error.status_code == 404:
            return 404, NotFound("there is nothing at this path")
        case HTTPException() if error.status_code < 500:
            return error.status_code, BadRequest(error.detail)
        case _:
            return 500, Internal("something failed on our side; the log has it")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
