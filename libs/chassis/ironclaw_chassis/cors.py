"""Any origin may read what is under /api/; nothing else is offered to browsers."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/api/"
_ALLOWED = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, OPTIONS"),
    (b"access-control-allow-headers", b"last-event-id, if-none-match"),
    (b"access-control-expose-headers", b"etag"),
    (b"access-control-max-age", b"600"),
]


def open_to_browsers(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that its /api/ answers every origin, preflights too."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith(_PREFIX):
            await app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": _ALLOWED})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        async def send_open(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_ALLOWED]
            await send(message)

        await app(scope, receive, send_open)

    return handle
