"""An MCP server over streamable HTTP: tools of ours at one path, spoken by the official SDK.

The SDK is heavy (0.7 s to import, tens of MB), so it is loaded at the first request, off the event loop. It
is served without sessions: a restart of the service costs a client nothing but its open calls.
"""

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import structlog
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from ironclaw_chassis.authentication import Authenticator, CallerIdentity
from ironclaw_contracts.errors import BadRequest, Problem, TooLarge, Unavailable

log = structlog.get_logger()

MCP_PATH = "/mcp"
_LOAD_SECONDS = 30.0
_CALLER = "ironclaw.caller"

Arguments = dict[str, Any]


class ToolCall(Struct, frozen=True):
    """One call of a tool. `caller` is None where the server asks for no identity."""

    arguments: Arguments
    caller: CallerIdentity | None
    authorization: str | None


class Tool(Struct, frozen=True):
    """A tool: its name as hosts show it, the JSON schema of its arguments, and what it does.

    `run` returns something that encodes as a JSON object; it raises a `Problem`, which the model is told.
    """

    name: str
    description: str
    schema: Arguments
    run: Callable[[ToolCall], Awaitable[Any]]
    read_only: bool = False


def schema_of(kind: type[Struct]) -> Arguments:
    """Return the JSON schema of a struct of arguments, with its definitions in place."""
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    own = dict(cast("Arguments", definitions.pop(kind.__name__, schema)))
    return {**own, "$defs": definitions} if definitions else own


class McpServer:
    """Serves tools at `/mcp`. With an authenticator every request needs a credential, without one none."""

    def __init__(
        self,
        name: str,
        instructions: str,
        tools: Sequence[Tool],
        *,
        version: str,
        body_bytes_max: int,
        authenticator: Authenticator | None = None,
    ) -> None:
        self._name = name
        self._instructions = instructions
        self._tools = {tool.name: tool for tool in tools}
        self._version = version
        self._body_bytes_max = body_bytes_max
        self._authenticator = authenticator
        self._wanted = asyncio.Event()
        self._manager: asyncio.Future[Any] | None = None

    @property
    def route(self) -> ASGIRouteHandler:
        """The handler to register with the application."""

        async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
            await self._handle(scope, receive, send)

        return ASGIRouteHandler(path=MCP_PATH, copy_scope=True, name=f"{self._name}.mcp")(mcp)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve for as long as the context is open."""
        self._wanted = asyncio.Event()
        self._manager = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._serve(self._manager), name=f"{self._name}-mcp")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._manager = None

    async def _serve(self, ready: "asyncio.Future[Any]") -> None:
        """Hold the SDK's session manager in one task, as its task group demands."""
        await self._wanted.wait()
        try:
            manager = await asyncio.to_thread(self._load)
            async with manager.run():
                ready.set_result(manager)
                await asyncio.Event().wait()
        except Exception as error:
            log.exception("the MCP server failed", server=self._name)
            if not ready.done():
                ready.set_exception(Unavailable(f"the MCP server did not start: {error}"))

    def _load(self) -> Any:
        types = importlib.import_module("mcp_types")
        server = importlib.import_module("mcp.server.lowlevel").Server
        http = importlib.import_module("mcp.server.streamable_http_manager")

        async def list_tools(_: Any, __: Any) -> Any:
            return types.ListToolsResult(tools=[_described(types, tool) for tool in self._tools.values()])

        async def call_tool(context: Any, parameters: Any) -> Any:
            return await self._call(types, context.request, parameters.name, parameters.arguments or {})

        app = server(
            self._name,
            version=self._version,
            instructions=self._instructions,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
        )
        return http.StreamableHTTPSessionManager(
            app, json_response=True, stateless=True, max_request_body_size=self._body_bytes_max
        )

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._manager is None:
            raise Unavailable("the service is not running")
        if self._authenticator is not None:
            authorization = dict(scope["headers"]).get(b"authorization")
            caller = await self._authenticator.authenticate(
                authorization.decode("latin-1") if authorization is not None else None
            )
            cast("dict[str, Any]", scope)[_CALLER] = caller
        if cast("dict[str, Any]", scope)["method"] == "POST":
            receive = _replay(await self._body(receive), receive)
        self._wanted.set()
        async with asyncio.timeout(_LOAD_SECONDS):
            manager = await asyncio.shield(self._manager)
        await manager.handle_request(scope, receive, send)

    async def _body(self, receive: Receive) -> bytes:
        """Return the body, which the SDK would read less strictly: a key that occurs twice is refused."""
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = cast("dict[str, Any]", await receive())
            if message["type"] != "http.request":
                raise BadRequest("the body broke off")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._body_bytes_max:
                raise TooLarge(f"a message has at most {self._body_bytes_max} bytes")
            chunks.append(chunk)
            more = message.get("more_body", False)
        body = b"".join(chunks)
        try:
            json.loads(body, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        return body

    async def _call(self, types: Any, request: Any, name: str, arguments: Arguments) -> Any:
        tool = self._tools.get(name)
        if tool is None:
            return _failed(types, "NOT_FOUND", f"there is no tool {name!r}; ask for tools/list")
        scope = request.scope if request is not None else {}
        headers = request.headers if request is not None else {}
        call = ToolCall(arguments, scope.get(_CALLER), headers.get("authorization"))
        try:
            answer = msgspec.to_builtins(await tool.run(call))
        except Problem as problem:
            return _failed(types, problem.code, problem.message)
        except Exception:
            log.exception("a tool failed", server=self._name, tool=name)
            return _failed(types, "INTERNAL", "something failed on our side; the log has it")
        text = msgspec.json.encode(answer).decode()
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=answer
        )


def arguments_of(call: ToolCall, kind: type[Any]) -> Any:
    """Return a call's arguments as their struct. Raises `BadRequest` naming the field."""
    try:
        return msgspec.convert(call.arguments, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error


def _described(types: Any, tool: Tool) -> Any:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(read_only_hint=tool.read_only),
    )


def _failed(types: Any, code: str, message: str) -> Any:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=f"{code}: {message}")],
        structured_content={"error": {"code": code, "message": message}},
        is_error=True,
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once more, then what the client still sends."""
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _unique(pairs: list[tuple[str, Any]]) -> Arguments:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
