"""Routes: a service registers one handler for each endpoint that the contracts declare for it.

    routes = Routes(Service.LEDGER)

    @routes.serve(api.GET_ORDER)
    async def get_order(call: Call[Nothing, Nothing]) -> OrderView: ...

The handler sees a `Call`: path, caller, body and query are checked before it runs.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from litestar import HttpMethod, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from litestar.types import Guard
from msgspec import Struct

from ironclaw_chassis import lanes, sse
from ironclaw_chassis.authentication import Authenticator
from ironclaw_chassis.decoding import ContractRequest
from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall, ForeignHandler, build_foreign, operation_of
from ironclaw_chassis.lanes import Lanes
from ironclaw_chassis.serving import Call, Handler, Served
from ironclaw_chassis.sse import StreamEvent
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.envelope import Envelope, success

__all__ = ["Call", "FileAnswer", "RawAnswer", "RawCall", "Routes", "StreamEvent", "event_stream"]

Body = TypeVar("Body")
Query = TypeVar("Query")
Answer = TypeVar("Answer")


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

    def lanes(self, authenticator: Authenticator) -> Lanes:
        """Return what is answered before the router."""
        found = Lanes()
        for endpoint, handler in self._handlers:
            match endpoint.form:
                case "json":
                    found.add(endpoint, lanes.json(Served(endpoint, handler, authenticator)))
                case "events":
                    found.add(endpoint, lanes.events(Served(endpoint, handler, authenticator)))
                case "foreign" if not endpoint.parameters:
                    found.add(endpoint, lanes.foreign(endpoint, cast("ForeignHandler", handler)))
                case _:
                    continue
        return found

    def build(self, authenticator: Authenticator) -> list[HTTPRouteHandler]:
        """Return the Litestar handlers."""
        return [
            build_foreign(endpoint, cast("ForeignHandler", handler))
            if endpoint.form == "foreign"
            else _build(Served(endpoint, handler, authenticator))
            for endpoint, handler in self._handlers
        ]


def _build(served: Served) -> HTTPRouteHandler:
    endpoint = served.endpoint

    async def handle(request: ContractRequest, **given: Any) -> Any:
        path = [given[name] for name in endpoint.parameters]
        query = list(request.query_params.multi_items())
        if endpoint.form == "raw":
            headers = {name.lower(): value for name, value in request.headers.items()}
            call = RawCall(served.read_query(query), served.read_path(path), headers, request.stream())
            return _answered(endpoint, await served.handler(call))
        body = given["data"] if served.takes_body else Nothing()
        last_event_id = request.headers.get("last-event-id", "")
        return _answered(
            endpoint, await served.answer(request.state.caller, body, path, query, last_event_id)
        )

    _sign(handle, endpoint)
    return HTTPRouteHandler(
        path=_litestar_path(endpoint),
        http_method=HttpMethod(endpoint.method),
        guards=[_guard(served)],
        name=f"{endpoint.service}.{endpoint.name}",
        operation_id=endpoint.name,
        operation_class=operation_of(endpoint),
        summary=endpoint.summary,
        status_code=200,
        request_class=ContractRequest,
        request_max_body_size=None if endpoint.form == "raw" else endpoint.body_bytes_max,
        opt={"decode": served.decode, "endpoint": endpoint},
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
        "events": Stream,
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


def _guard(served: Served) -> Guard:
    """Return the guard that knows the caller and lets only declared callers pass."""

    async def guard(connection: Any, _: Any) -> None:
        connection.state.caller = await served.admit(connection.headers.get("authorization"))

    return guard


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
            return event_stream(answer)
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


def event_stream(events: AsyncIterator[StreamEvent], headers: Mapping[str, str] | None = None) -> Stream:
    """Return the router's response of server-sent events."""
    return Stream(
        sse.chunks(events), media_type="text/event-stream", headers={**sse.HEADERS, **(headers or {})}
    )


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[-100:]
