"""Endpoints of foreign contracts: the call as it came, the answer byte for byte, no envelope of ours.

Exact paths only: a trailing slash is another path, and nobody serves that.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.errors import NotFound


class ForeignCall(Struct, frozen=True):
    """A call as it came, for endpoints of form `foreign`: their contract says what is checked, and when.

    `body` is None when it is larger than the endpoint takes. Header names are in lower case.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes | None
    source: str


class ForeignAnswer(Struct, frozen=True):
    """What a foreign caller is answered, byte for byte."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


ForeignHandler = Callable[[ForeignCall], Awaitable[ForeignAnswer]]


def build_foreign(endpoint: Endpoint[Any, Any, Any], handler: ForeignHandler) -> HTTPRouteHandler:
    """Return the Litestar handler of an endpoint of form `foreign`."""

    async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        if str(request.scope["raw_path"], "latin-1").partition("?")[0] != endpoint.path:
            raise NotFound(f"there is no {request.scope['path']}")
        call = ForeignCall(
            headers={
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in request.scope["headers"]
            },
            query=dict(request.query_params) if request.scope["query_string"] else {},
            body=await _body(request, endpoint.body_bytes_max) if endpoint.method == "POST" else b"",
            source=request.client.host if request.client is not None else "unknown",
        )
        answer = await handler(call)
        return Response(
            answer.body,
            status_code=answer.status,
            media_type="application/json",
            headers=dict(answer.headers),
        )

    handle.__name__ = handle.__qualname__ = endpoint.name
    handle.__doc__ = endpoint.summary
    return HTTPRouteHandler(
        path=endpoint.path,
        http_method=HttpMethod(endpoint.method),
        name=f"{endpoint.service}.{endpoint.name}",
        operation_id=endpoint.name,
        operation_class=operation_of(endpoint),
        summary=endpoint.summary,
        status_code=200,
        request_max_body_size=None,
        exclude_from_auth=True,
    )(handle)


async def _body(request: Request[Any, Any, Any], bytes_max: int) -> bytes | None:
    """Return the body, or None when it is too large; what comes after the bound is not kept."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= bytes_max:
            chunks.append(chunk)
    return b"".join(chunks) if size <= bytes_max else None


def operation_of(endpoint: Endpoint[Any, Any, Any]) -> type[Operation]:
    """Return an OpenAPI operation that documents the query struct, which we parse ourselves."""

    @dataclass
    class ContractOperation(Operation):
        def __post_init__(self) -> None:
            fields = msgspec.json.schema(endpoint.query).get("$defs", {}).get(endpoint.query.__name__, {})
            named = [
                Parameter(
                    name=name,
                    param_in="query",
                    required=name in fields.get("required", []),
                    schema=Schema(type=_primitive(schema)),
                )
                for name, schema in fields.get("properties", {}).items()
            ]
            self.parameters = [*(self.parameters or []), *named]

    return ContractOperation


def _primitive(schema: dict[str, Any]) -> OpenAPIType:
    kinds = [schema, *schema.get("anyOf", [])]
    return next(
        (OpenAPIType(k["type"]) for k in kinds if k.get("type", "null") != "null"), OpenAPIType.STRING
    )
