"""Foreign calls, answered before the router.

Their paths are exact, they bring no identity of ours and their answers are bytes, so that nothing of what the
router, its request and its response do is needed. That is a good half of the cost of a small call; the
endpoints stay in the router for the OpenAPI document, and for what it takes for the same path.
"""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall, ForeignHandler
from ironclaw_chassis.problems import problem_of
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.envelope import failure

_JSON = (b"content-type", b"application/json")

Lanes = Mapping[tuple[str, bytes], tuple[Endpoint[Any, Any, Any], ForeignHandler]]


class _Gone(Exception):
    """The caller has closed the connection."""


def answer_foreign(lanes: Lanes, app: ASGIApp) -> ASGIApp:
    """Wrap an application so that `(method, path)` of a foreign endpoint is answered by its handler."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        given = cast("dict[str, Any]", scope)
        lane = lanes.get((given["method"], given["raw_path"])) if given["type"] == "http" else None
        if lane is None:
            await app(scope, receive, send)
            return
        endpoint, handler = lane
        try:
            body = await _body(receive, endpoint.body_bytes_max) if endpoint.method == "POST" else b""
            answer = await handler(_call(given, body))
        except _Gone:
            return
        except Exception as error:
            problem = problem_of(error, given["path"])
            retry = {"Retry-After": str(problem.retry_after_seconds)} if problem.retry_after_seconds else {}
            envelope = msgspec.json.encode(failure(problem.code, problem.message))
            answer = ForeignAnswer(problem.status, envelope, retry)
        await _send(answer, send)

    return handle


def _call(given: dict[str, Any], body: bytes | None) -> ForeignCall:
    query = given["query_string"]
    client = given["client"]
    return ForeignCall(
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in given["headers"]},
        # Of a name that occurs twice the first counts, as in the router.
        query=dict(reversed(parse_qsl(query.decode("latin-1"), keep_blank_values=True))) if query else {},
        body=body,
        source=client[0] if client else "unknown",
    )


async def _body(receive: Receive, bytes_max: int) -> bytes | None:
    """Return the body, or None when it is too large; what comes after the bound is not kept."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = cast("dict[str, Any]", await receive())
        if message["type"] != "http.request":
            raise _Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= bytes_max:
            chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= bytes_max else None


async def _send(answer: ForeignAnswer, send: Send) -> None:
    own = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()
    ]
    headers = [_JSON, (b"content-length", str(len(answer.body)).encode()), *own]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
