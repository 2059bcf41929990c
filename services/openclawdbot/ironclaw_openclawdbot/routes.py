"""HTTP in, HTTP out."""

from collections.abc import AsyncIterator

import msgspec
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from ironclaw_chassis.routes import Call, Routes, StreamEvent
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import openclawdbot as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.envelope import failure
from ironclaw_contracts.errors import NotFound
from ironclaw_openclawdbot.following import Following
from ironclaw_openclawdbot.receiving import Receiving
from ironclaw_openclawdbot.showing import Showing

_EXACT = ("/api/", "/internal/")


def exact_paths(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that a foreign path is served only as it is written.

    A trailing slash is another path, and nobody serves that (contract: milestones and demand); the router
    would take the one for the other.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            path = scope["path"]
            if path.startswith(_EXACT) and (path.endswith("/") or "//" in path):
                body = msgspec.json.encode(failure(NotFound.code, f"there is no {path}"))
                answer = ASGIResponse(body=body, status_code=NotFound.status, media_type="application/json")
                await answer(scope, receive, send)
                return
        await app(scope, receive, send)

    return handle


def build_routes(receiving: Receiving, showing: Showing, following: Following) -> Routes:
    """Return openclawdbot's routes."""
    routes = Routes(Service.OPENCLAWDBOT)
    routes.foreign(api.INGEST_MILESTONE)(receiving.milestone)
    routes.foreign(api.INGEST_DEMAND)(receiving.demand)
    routes.foreign(api.LATEST_MILESTONES)(showing.latest)
    routes.foreign(api.MILESTONE_DEAD_LETTERS)(showing.milestone_dead_letters)
    routes.foreign(api.DEMAND_LIVE)(showing.demand_live)
    routes.foreign(api.DEMAND)(showing.demand)
    routes.foreign(api.DEMAND_DEAD_LETTERS)(showing.demand_dead_letters)
    routes.foreign(api.OVERVIEW)(showing.overview)
    routes.foreign(api.CONTROL)(showing.control)

    @routes.stream(api.STREAM_MILESTONES)
    async def stream_milestones(call: Call[Nothing, Nothing]) -> AsyncIterator[StreamEvent]:
        return await following.follow(call.last_event_id)

    return routes
