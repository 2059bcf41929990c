"""The application factory: health, readiness, errors, identity and lifespan, the same in every service."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, ControllerRouterHandler

from ironclaw_chassis.authentication import Authenticator
from ironclaw_chassis.lanes import answer_in_lanes
from ironclaw_chassis.metrics import CONTENT_TYPE, Reading, exposition
from ironclaw_chassis.middleware import request_context
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_chassis.problems import EXCEPTION_HANDLERS
from ironclaw_chassis.routes import Call, FileAnswer, Routes
from ironclaw_chassis.tracing import flush
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.health import (
    Health,
    Readiness,
    health_endpoint,
    metrics_endpoint,
    readiness_endpoint,
)

VERSION = "0.1.0"
_FLUSH_SECONDS = 2.0  # spans that the collector does not take by then are lost: it must not hold a stop

Check = Callable[[], Awaitable[None]]
"""Raises when a dependency is not fit; its message becomes the readiness answer."""

Facts = Callable[[], dict[str, str]]
"""What the service found about its machine, for GET /health."""

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def create_app(
    routes: Routes,
    authenticator: Authenticator,
    *,
    lifespan: Lifespan,
    checks: dict[str, Check] | None = None,
    facts: Facts = dict,
    readings: Sequence[Reading] = (),
    around: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    mounts: Sequence[ControllerRouterHandler] = (),
    node: ServiceNode | None = None,
) -> Litestar:
    """Build the Litestar application of one service.

    `lifespan` opens what the service holds (pools, loops) and closes it again; `checks` answer GET /ready,
    `facts` stand in GET /health, and `readings` set the gauges that GET /metrics tells and nobody else keeps.
    `around` is what only this service needs around every answer, those to unknown paths too; `mounts` are
    applications and pages beside the handlers, which no contract declares. `node` sends heartbeats while
    the service runs.
    """
    _serve_health(routes, checks or {}, facts, node)
    _serve_metrics(routes, readings)

    @asynccontextmanager
    async def hold(_: Litestar) -> AsyncGenerator[None]:
        try:
            async with lifespan(), node.beating() if node is not None else nullcontext():
                yield
        finally:
            await asyncio.to_thread(flush, _FLUSH_SECONDS)

    app = Litestar(
        route_handlers=[*routes.build(authenticator), *mounts],
        lifespan=[hold],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=OpenAPIConfig(
            title=f"IronClaw {routes.service.value}",
            version=VERSION,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )
    # Litestar's own middleware begins behind its router, and never sees a path that nobody serves.
    app.asgi_handler = answer_in_lanes(routes.lanes(authenticator), app.asgi_handler)
    for wrap in (*reversed(around), request_context(routes.service)):
        app.asgi_handler = wrap(app.asgi_handler)
    return app


def _serve_health(routes: Routes, checks: dict[str, Check], facts: Facts, node: ServiceNode | None) -> None:
    started = time.monotonic()
    service: Service = routes.service

    @routes.serve(health_endpoint(service))
    async def health(_: Call[Nothing, Nothing]) -> Health:
        return Health(
            service=service.value,
            status="ok",
            version=VERSION,
            uptime_seconds=round(time.monotonic() - started, 3),
            last_heartbeat=node.last_heartbeat if node is not None else None,
            last_ack=node.last_ack if node is not None else None,
            facts=facts(),
        )

    @routes.serve(readiness_endpoint(service))
    async def ready(_: Call[Nothing, Nothing]) -> Readiness:
        found = {name: await _outcome(check) for name, check in checks.items()}
        failing = {name: outcome for name, outcome in found.items() if outcome != "ok"}
        if failing:
            raise Unavailable("; ".join(f"{name}: {outcome}" for name, outcome in failing.items()))
        return Readiness(ready=True, checks=found)


def _serve_metrics(routes: Routes, readings: Sequence[Reading]) -> None:
    @routes.file(metrics_endpoint(routes.service))
    async def metrics(_: Call[Nothing, Nothing]) -> FileAnswer:
        content = await exposition(readings)
        return FileAnswer(content=content, name="metrics.txt", media_type=CONTENT_TYPE)


async def _outcome(check: Check) -> str:
    try:
        await check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ok"
