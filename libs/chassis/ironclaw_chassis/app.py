"""The application factory: health, readiness, errors, identity and lifespan, the same in every service."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from ironclaw_chassis.authentication import Authenticator
from ironclaw_chassis.metrics import CONTENT_TYPE, Reading, exposition
from ironclaw_chassis.middleware import request_context
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

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def create_app(
    routes: Routes,
    authenticator: Authenticator,
    *,
    lifespan: Lifespan,
    checks: dict[str, Check] | None = None,
    readings: Sequence[Reading] = (),
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
) -> Litestar:
    """Build the Litestar application of one service.

    `lifespan` opens what the service holds (pools, loops) and closes it again; `checks` answer GET /ready.
    `readings` set the gauges that GET /metrics tells and nobody else keeps.
    `middleware` is what only this service needs around its handlers.
    """
    _serve_health(routes, checks or {})
    _serve_metrics(routes, readings)

    @asynccontextmanager
    async def hold(_: Litestar) -> AsyncGenerator[None]:
        try:
            async with lifespan():
                yield
        finally:
            await asyncio.to_thread(flush, _FLUSH_SECONDS)

    return Litestar(
        route_handlers=routes.build(authenticator),
        lifespan=[hold],
        middleware=[request_context(routes.service), *middleware],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=OpenAPIConfig(
            title=f"IronClaw {routes.service.value}",
            version=VERSION,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )


def _serve_health(routes: Routes, checks: dict[str, Check]) -> None:
    started = time.monotonic()
    service: Service = routes.service

    @routes.serve(health_endpoint(service))
    async def health(_: Call[Nothing, Nothing]) -> Health:
        return Health(
            service=service.value,
            status="ok",
            version=VERSION,
            uptime_seconds=round(time.monotonic() - started, 3),
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
