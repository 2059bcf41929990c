"""Routes: a service registers one handler for each endpoint that the contracts declare for it.

    routes = Routes(Service.LEDGER)

    @routes.serve(api.GET_ORDER)
    async def get_order(call: Call[Nothing, Nothing]) -> OrderView: ...

The handler sees a `Call`: path, caller, body and query are checked before it runs.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec
from litestar import HttpMethod, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage, Stream
from litestar.types import Guard
from msgspec import Struct

from ironclaw_chassis.authentication import Authenticator, CallerIdentity
from ironclaw_chassis.decoding import ContractRequest, decode_query
from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall, ForeignHandler, build_foreign, operation_of
from ironclaw_chassis.foreign_lane import Lanes
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Role, Service
from ironclaw_contracts.envelope import Envelope, success
from ironclaw_contracts.errors import BadRequest, Forbidden
from ironclaw_contracts.ids import check_id

Body = TypeVar("Body")
Query = TypeVar("Query")
Answer = TypeVar("Answer")

PING_SECONDS = 15


class Call(Struct, Generic[Body, Query], frozen=True):
    """One checked call. `last_event_id` is the SSE header, empty when absent."""

    body: Body
    query: Query
    path: dict[str, str]
    caller: CallerIdentity
    last_event_id: str = ""

    def service(self) -> Service:
        """Return the calling service. Raises `Forbidden` when a person calls."""
        if isinstance(self.caller.kind, Service):
            return self.caller.kind
        raise Forbidden("only a service may call this")


class RawCall(Struct, Generic[Query], frozen=True):
    """A call of an endpoint of form `raw`: the body as it comes, nothing of it read yet.

    Header names are in lower case.
    """

    query: Query
    path: dict[str, str]
    headers: Mapping[str, str]
    stream: AsyncIterator[bytes]


class RawAnswer(Struct, frozen=True):
    """What an endpoint of form `raw` answers, as it is made."""

    media_type: str
    chunks: AsyncIterator[bytes]


class FileAnswer(Struct, frozen=True):
    """The bytes of a file, for endpoints of form `bytes`; always an attachment, never rendered in place."""

    content: bytes
    name: str
    media_type: str = "application/octet-stream"


class StreamEvent(Struct, frozen=True):
    """One server-sent event, for endpoints of form `events`."""

    id: str
    event: str
    data: str


Handler = Callable[[Any], Awaitable[Any]]


class Routes:
    """Collects the handlers of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._handlers: list[tuple[Endpoint[Any, Any, Any], Handler]] = []

    def serve(
        self, endpoint: Endpoint[Body, Query, Answer]
    ) -> Callable[
        [Callable[[Call[Body, Query]], Awaitable[Answer]]], Callable[[Call[Body, Query]], Awaitable[Answer]]
    ]:
        """Register the handler of a JSON endpoint."""
        return self._register(endpoint)

    def stream(
        self, endpoint: Endpoint[Body, Query, Any]
    ) -> Callable[
        [Callable[[Call[Body, Query]], Awaitable[AsyncIterator[StreamEvent]]]],
        Callable[[Call[Body, Query]], Awaitable[AsyncIterator[StreamEvent]]],
    ]:
        """Register the handler of an endpoint of form `events`."""
        return self._register(endpoint)

    def lines(
        self, endpoint: Endpoint[Body, Query, Any]
    ) -> Callable[
        [Callable[[Call[Body, Query]], Awaitable[AsyncIterator[bytes]]]],
        Callable[[Call[Body, Query]], Awaitable[AsyncIterator[bytes]]],
    ]:
        """Register the handler of an endpoint of form `lines`."""
        return self._register(endpoint)

    def file(
        self, endpoint: Endpoint[Body, Query, bytes]
    ) -> Callable[
        [Callable[[Call[Body, Query]], Awaitable[FileAnswer]]],
        Callable[[Call[Body, Query]], Awaitable[FileAnswer]],
    ]:
        """Register the handler of an endpoint of form `bytes`."""
        return self._register(endpoint)

    def raw(
        self, endpoint: Endpoint[Any, Query, Any]
    ) -> Callable[
        [Callable[[RawCall[Query]], Awaitable[RawAnswer]]], Callable[[RawCall[Query]], Awaitable[RawAnswer]]
    ]:
        """Register the handler of an endpoint of form `raw`; it bounds what it reads itself."""
        return self._register(endpoint)

    def foreign(
        self, endpoint: Endpoint[Any, Any, Any]
    ) -> Callable[
        [Callable[[ForeignCall], Awaitable[ForeignAnswer]]], Callable[[ForeignCall], Awaitable[ForeignAnswer]]
    ]:
        """Register the handler of an endpoint of form `foreign`."""
        return self._register(endpoint)

    def _register(self, endpoint: Endpoint[Any, Any, Any]) -> Callable[[Any], Any]:
        if endpoint.service is not self.service:
            raise ValueError(f"{endpoint.name} belongs to {endpoint.service}, not to {self.service}")

        def register(handler: Handler) -> Handler:
            self._handlers.append((endpoint, handler))
            return handler

        return register

    def lanes(self) -> Lanes:
        """Return the foreign endpoints by method and path, to be answered before the router."""
        return {
            (endpoint.method, endpoint.path.encode()): (endpoint, cast("ForeignHandler", handler))
            for endpoint, handler in self._handlers
            if endpoint.form == "foreign" and not endpoint.parameters
        }

    def build(self, authenticator: Authenticator) -> list[HTTPRouteHandler]:
        """Return the Litestar handlers."""
        return [
            build_foreign(endpoint, cast("ForeignHandler", handler))
            if endpoint.form == "foreign"
            else _build(endpoint, handler, authenticator)
            for endpoint, handler in self._handlers
        ]


def _build(
    endpoint: Endpoint[Any, Any, Any], handler: Handler, authenticator: Authenticator
) -> HTTPRouteHandler:
    decoder = msgspec.json.Decoder(endpoint.body)

    async def handle(request: ContractRequest, **given: Any) -> Any:
        path = {name: _checked(name, given[name]) for name in endpoint.parameters}
        query = decode_query(request, endpoint)
        if endpoint.form == "raw":
            headers = {name.lower(): value for name, value in request.headers.items()}
            return _answered(endpoint, await handler(RawCall(query, path, headers, request.stream())))
        call = Call(
            body=given["data"] if "data" in given else Nothing(),
            query=query,
            path=path,
            caller=request.state.caller,
            last_event_id=request.headers.get("last-event-id", ""),
        )
        return _answered(endpoint, await handler(call))

    _sign(handle, endpoint)
    return HTTPRouteHandler(
        path=_litestar_path(endpoint),
        http_method=HttpMethod(endpoint.method),
        guards=[_guard(endpoint, authenticator)],
        name=f"{endpoint.service}.{endpoint.name}",
        operation_id=endpoint.name,
        operation_class=operation_of(endpoint),
        summary=endpoint.summary,
        status_code=200,
        request_class=ContractRequest,
        request_max_body_size=None if endpoint.form == "raw" else endpoint.body_bytes_max,
        opt={"decoder": decoder, "endpoint": endpoint},
        exclude_from_auth=True,
    )(handle)


def _sign(handle: Any, endpoint: Endpoint[Any, Any, Any]) -> None:
    """Give the generic wrapper the signature of this endpoint, for routing and for the OpenAPI document."""
    hints: dict[str, Any] = {"request": ContractRequest}
    hints |= dict.fromkeys(endpoint.parameters, FromPath[str])
    if endpoint.body is not Nothing:
        hints["data"] = JSONBody[endpoint.body]
    returned: Any = {
        "json": Envelope[endpoint.answer],
        "events": ServerSentEvent,
        "lines": Stream,
        "bytes": Response[bytes],
        "raw": Stream,
        "foreign": Response[bytes],
    }[endpoint.form]
    parameters = [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, annotation=h) for n, h in hints.items()
    ]
    handle.__signature__ = inspect.Signature(parameters, return_annotation=returned)
    handle.__annotations__ = {**hints, "return": returned}
    handle.__name__ = handle.__qualname__ = endpoint.name
    handle.__doc__ = endpoint.summary


def _guard(endpoint: Endpoint[Any, Any, Any], authenticator: Authenticator) -> Guard:
    """Return the guard that knows the caller and lets only declared callers pass."""

    async def guard(connection: Any, _: Any) -> None:
        if not endpoint.callers:
            connection.state.caller = CallerIdentity(kind=Role.USER, name="anyone")
            return
        caller = await authenticator.authenticate(connection.headers.get("authorization"))
        if caller.kind not in endpoint.callers:
            raise Forbidden(f"{caller.kind} may not call {endpoint.name}")
        connection.state.caller = caller

    return guard


def _checked(name: str, value: str) -> str:
    if name.endswith("_id"):
        return check_id(value, name)
    if "\x00" in value:
        raise BadRequest(f"{name} holds a NUL character")
    return value


def _litestar_path(endpoint: Endpoint[Any, Any, Any]) -> str:
    path = endpoint.path
    for name in endpoint.parameters:
        path = path.replace("{" + name + "}", "{" + name + ":str}")
    return path


def _answered(endpoint: Endpoint[Any, Any, Any], answer: Any) -> Any:
    match endpoint.form:
        case "json":
            return success(answer)
        case "events":
            return ServerSentEvent(sent_messages(answer))
        case "lines":
            return Stream(answer, media_type="application/x-ndjson")
        case "bytes":
            headers = {
                "Content-Disposition": f'attachment; filename="{_ascii(answer.name)}"',
                "X-Content-Type-Options": "nosniff",
            }
            return Response(answer.content, media_type=answer.media_type, headers=headers)
        case "raw":
            return Stream(answer.chunks, media_type=answer.media_type, headers={"Cache-Control": "no-cache"})
        case "foreign":
            raise TypeError(f"{endpoint.name} is answered by its own handler")


async def sent_messages(events: AsyncIterator[StreamEvent]) -> AsyncIterator[ServerSentEventMessage]:
    """Yield the events, and a comment at the start and whenever none came for a while.

    The first comment tells a follower that it misses nothing from here on, the others notice dead peers.
    """
    pending = asyncio.ensure_future(anext(events, None))
    try:
        yield ServerSentEventMessage(data=None, comment="following")
        while True:
            done, _ = await asyncio.wait({pending}, timeout=PING_SECONDS)
            if not done:
                yield ServerSentEventMessage(data=None, comment="ping")
                continue
            event = pending.result()
            if event is None:
                return
            yield ServerSentEventMessage(data=event.data, event=event.event, id=event.id)
            pending = asyncio.ensure_future(anext(events, None))
    finally:
        pending.cancel()


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[-100:]
