"""Calls answered before the router.

The declaration of an endpoint says all that answering it takes, so nothing of what the router, its request
and its response do is needed; that is most of what a small call costs. The endpoints stay in the router for
the OpenAPI document, for other methods, and for paths that are written in another way: with a slash at the
end, or escaped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from ironclaw_chassis import sse
from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall, ForeignHandler
from ironclaw_chassis.problems import problem_of
from ironclaw_chassis.serving import Served
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.envelope import failure, success
from ironclaw_contracts.errors import BadRequest, TooLarge

Answering = Callable[[dict[str, Any], Receive, Send, list[str]], Awaitable[None]]
"""Answers a scope; the last argument has the values of the path's parameters."""

_JSON = (b"content-type", b"application/json")
_EVENTS = [(b"content-type", sse.MEDIA_TYPE.encode())] + [
    (name.lower().encode(), value.encode()) for name, value in sse.HEADERS.items()
]
_encode = msgspec.json.Encoder().encode


class _Gone(Exception):
    """The caller has closed the connection."""


class Lanes:
    """Endpoints by method and path, and how each answers."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, bytes], tuple[Endpoint[Any, Any, Any], Answering]] = {}
        self._patterns: dict[tuple[str, int], list[_Pattern]] = {}

    def add(self, endpoint: Endpoint[Any, Any, Any], answering: Answering) -> None:
        """Answer an endpoint here."""
        if not endpoint.parameters:
            self._exact[endpoint.method, endpoint.path.encode()] = endpoint, answering
            return
        pattern = _Pattern(endpoint, answering)
        patterns = self._patterns.setdefault((endpoint.method, pattern.length), [])
        patterns.append(pattern)
        patterns.sort(key=lambda p: p.rank)  # what is written out goes before a parameter, as in the router

    def find(
        self, method: str, raw_path: bytes
    ) -> tuple[Endpoint[Any, Any, Any], Answering, list[str]] | None:
        """Return what answers a path, with the values of its parameters."""
        exact = self._exact.get((method, raw_path))
        if exact is not None:
            return (*exact, [])
        parts = raw_path.split(b"/")
        for pattern in self._patterns.get((method, len(parts)), ()):
            values = pattern.match(parts)
            if values is not None:
                return pattern.endpoint, pattern.answering, values
        return None


class _Pattern:
    """A path with parameters, each of one segment."""

    def __init__(self, endpoint: Endpoint[Any, Any, Any], answering: Answering) -> None:
        self.endpoint = endpoint
        self.answering = answering
        parts = endpoint.path.encode().split(b"/")
        self.length = len(parts)
        self.rank = [part.startswith(b"{") for part in parts]
        self._fixed = [(n, part) for n, part in enumerate(parts) if not self.rank[n]]
        self._free = [n for n, is_free in enumerate(self.rank) if is_free]

    def match(self, parts: list[bytes]) -> list[str] | None:
        """Return the values of the parameters; None for another path, or one that the router must decode."""
        for n, part in self._fixed:
            if parts[n] != part:
                return None
        values = [parts[n] for n in self._free]
        if any(not value or b"%" in value for value in values):
            return None
        return [value.decode("latin-1") for value in values]


def answer_in_lanes(lanes: Lanes, app: ASGIApp) -> ASGIApp:
    """Wrap an application so that what has a lane is answered there."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        given = cast("dict[str, Any]", scope)
        found = lanes.find(given["method"], given["raw_path"]) if given["type"] == "http" else None
        if found is None:
            await app(scope, receive, send)
            return
        endpoint, answering, values = found
        given["ironclaw.endpoint"], given["path_template"] = endpoint, endpoint.path  # for spans and figures
        try:
            await answering(given, receive, send, values)
        except _Gone:
            return

    return handle


def foreign(endpoint: Endpoint[Any, Any, Any], handler: ForeignHandler) -> Answering:
    """Return how an endpoint of form `foreign` answers: the call as it came, the answer byte for byte."""

    async def answer(scope: dict[str, Any], receive: Receive, send: Send, _: list[str]) -> None:
        try:
            body = await _body(receive, endpoint.body_bytes_max) if endpoint.method == "POST" else b""
            made = await handler(_foreign_call(scope, body))
        except Exception as error:
            await _refuse(error, scope, send)
            return
        await _send(send, made)

    return answer


def json(served: Served) -> Answering:
    """Return how an endpoint of form `json` answers: in an envelope."""

    async def answer(scope: dict[str, Any], receive: Receive, send: Send, values: list[str]) -> None:
        try:
            made = _encode(success(await _answered(served, scope, receive, values)))
        except Exception as error:
            await _refuse(error, scope, send)
            return
        await _send(send, ForeignAnswer(200, made))

    return answer


def events(served: Served) -> Answering:
    """Return how an endpoint of form `events` answers, until the events end or the caller goes."""

    async def answer(scope: dict[str, Any], receive: Receive, send: Send, values: list[str]) -> None:
        try:
            made: AsyncIterator[sse.StreamEvent] = await _answered(served, scope, receive, values)
        except Exception as error:
            await _refuse(error, scope, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
        sending = asyncio.create_task(_send_events(sse.chunks(made), send), name="sse-sending")
        watching = asyncio.create_task(_closed(receive), name="sse-watching")
        try:
            await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            was_sending = sending.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)
        if not was_sending:
            sending.result()

    return answer


async def _answered(served: Served, scope: dict[str, Any], receive: Receive, values: Iterable[str]) -> Any:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    authorization = headers.get(b"authorization")
    caller = await served.admit(authorization.decode("latin-1") if authorization is not None else None)
    body = None
    if served.takes_body:
        raw = await _body(receive, served.endpoint.body_bytes_max)
        if raw is None:
            raise TooLarge(f"the body is larger than {served.endpoint.body_bytes_max} bytes")
        if not raw:
            raise BadRequest("the body is missing: send a JSON object")
        body = served.decode(raw)
    last_event_id = headers.get(b"last-event-id", b"").decode("latin-1")
    return await served.answer(caller, body, values, _query(scope), last_event_id)


def _query(scope: dict[str, Any]) -> list[tuple[str, str]]:
    query = scope["query_string"]
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


def _foreign_call(scope: dict[str, Any], body: bytes | None) -> ForeignCall:
    client = scope["client"]
    return ForeignCall(
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        # Of a name that occurs twice the first counts, as in the router.
        query=dict(reversed(_query(scope))),
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
    if size > bytes_max:
        return None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _closed(receive: Receive) -> None:
    """Return once the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _send_events(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(error: Exception, scope: dict[str, Any], send: Send) -> None:
    """Answer an error as its envelope."""
    if isinstance(error, _Gone):
        raise error
    problem = problem_of(error, scope["path"])
    retry = {"Retry-After": str(problem.retry_after_seconds)} if problem.retry_after_seconds else {}
    body = _encode(failure(problem.code, problem.message))
    await _send(send, ForeignAnswer(problem.status, body, retry))


async def _send(send: Send, answer: ForeignAnswer) -> None:
    headers = [_JSON, (b"content-length", b"%d" % len(answer.body))]
    for name, value in answer.headers.items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
