"""A bound on the calls under way: one too many is answered at once, in the form that its caller reads."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_RETRY_SECONDS = b"1"


def bounded(app: ASGIApp, *, calls_max: int, answer: bytes) -> ASGIApp:
    """Wrap an application so that at most `calls_max` calls are under way, streams among them.

    One more is answered 503 with `answer`, which is JSON. uvicorn's own limit answers in plain text, and
    counts connections that ask nothing.
    """
    under_way = 0

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if under_way >= calls_max:
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(answer)).encode()),
                (b"retry-after", _RETRY_SECONDS),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": answer, "more_body": False})
            return
        under_way += 1
        try:
            await app(scope, receive, send)
        finally:
            under_way -= 1

    return handle
