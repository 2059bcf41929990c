"""Serve an endpoint as its declaration says: who may call, what it takes, then the handler."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from ironclaw_chassis.authentication import Authenticator, CallerIdentity
from ironclaw_chassis.decoding import decode_body, decode_query
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Role, Service
from ironclaw_contracts.errors import BadRequest, Forbidden
from ironclaw_contracts.ids import check_id

Body = TypeVar("Body")
Query = TypeVar("Query")

Handler = Callable[[Any], Awaitable[Any]]

_ANYONE = CallerIdentity(kind=Role.USER, name="anyone")
_NOTHING = Nothing()


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


class Served:
    """An endpoint with its handler. The router and the lanes both serve through it."""

    def __init__(
        self, endpoint: Endpoint[Any, Any, Any], handler: Handler, authenticator: Authenticator
    ) -> None:
        self.endpoint = endpoint
        self.handler = handler
        self.takes_body = endpoint.body is not Nothing
        self._authenticator = authenticator
        self._decoder = msgspec.json.Decoder(endpoint.body)
        self._parameters = endpoint.parameters
        self._takes_query = endpoint.query is not Nothing

    async def admit(self, authorization: str | None) -> CallerIdentity:
        """Return the caller. Raises `Unauthenticated`, or `Forbidden` for one that is not declared."""
        endpoint = self.endpoint
        if not endpoint.callers:
            return _ANYONE
        caller = await self._authenticator.authenticate(authorization)
        if caller.kind not in endpoint.callers:
            raise Forbidden(f"{caller.kind} may not call {endpoint.name}")
        return caller

    def decode(self, body: bytes) -> Any:
        """Return the body as its struct. Raises `BadRequest` naming the field that is wrong."""
        return decode_body(body, self._decoder)

    async def answer(
        self,
        caller: CallerIdentity,
        body: Any,
        path: Iterable[str],
        query: Iterable[tuple[str, str]],
        last_event_id: str = "",
    ) -> Any:
        """Have the handler answer; `path` has the values of the parameters in order. Raises `Problem`."""
        read_path = self.read_path(path)
        return await self.handler(Call(body, self.read_query(query), read_path, caller, last_event_id))

    def read_path(self, values: Iterable[str]) -> dict[str, str]:
        """Return the parameters of the path. Raises `BadId` or `BadRequest`."""
        return {name: _checked(name, value) for name, value in zip(self._parameters, values, strict=True)}

    def read_query(self, pairs: Iterable[tuple[str, str]]) -> Any:
        """Return the query as its struct. Raises `BadRequest` naming the parameter that is wrong."""
        return decode_query(self.endpoint, pairs) if self._takes_query or pairs else _NOTHING


def _checked(name: str, value: str) -> str:
    if name.endswith("_id"):
        return check_id(value, name)
    if "\x00" in value:
        raise BadRequest(f"{name} holds a NUL character")
    return value
