"""`appleseed serve`: the surface as a process of its own."""

import ipaddress
import socket
from typing import Any

import structlog
import uvicorn
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException

from appleseed_evolution.http.surface import Surface, calls_of, error_answer
from appleseed_evolution.workspace import Workspace
from ironclaw_chassis.foreign import build_foreign
from ironclaw_chassis.lanes import Lanes, answer_in_lanes, foreign
from ironclaw_chassis.logs import configure_logging
from ironclaw_chassis.middleware import request_context
from ironclaw_chassis.overload import bounded
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest, Internal, NotFound, Problem, Unavailable

log = structlog.get_logger()

_DRAIN_SECONDS = 2
_CALLS_MAX = 512


def create_app(workspace: Workspace, *, api_key: Secret | None) -> Litestar:
    """Return the application: the surface, and errors in the form that field clients read."""
    calls = calls_of(Surface(workspace, api_key=api_key))
    app = Litestar(
        route_handlers=[build_foreign(endpoint, handler) for endpoint, handler in calls],
        exception_handlers={Exception: _render},
        openapi_config=None,
        logging_config=None,
    )
    # The router is for what is no call of the surface; it takes a sender who hangs up for a fault of ours.
    lanes = Lanes()
    for endpoint, handler in calls:
        lanes.add(endpoint, foreign(endpoint, handler))
    app.asgi_handler = request_context(Service.LEARNING)(answer_in_lanes(lanes, app.asgi_handler))
    return app


def serve(workspace: Workspace, *, host: str, port: int, api_key: Secret | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises `BadRequest` when others could write evidence without a key, `OSError` when the port is taken.
    """
    if api_key is None and not _is_loopback(host):
        raise BadRequest(
            f"{host} can be reached from other machines: set APPLESEED_API_KEY, or listen on 127.0.0.1"
        )
    configure_logging(Service.LEARNING, "info", "json")
    listening = _listen(host, port)
    log.info(
        "serving",
        host=host,
        port=listening.getsockname()[1],
        state=str(workspace.state.path),
        asks_for_key=api_key is not None,
    )
    too_many = error_answer(Unavailable(f"{_CALLS_MAX} calls are under way; send it again later"))
    config = uvicorn.Config(
        bounded(create_app(workspace, api_key=api_key), calls_max=_CALLS_MAX, answer=too_many.body),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    return listening


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
