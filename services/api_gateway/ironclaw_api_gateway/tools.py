"""The fleet as MCP tools: what any MCP client with an API key may do (a desktop assistant, another agent)."""

import base64
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from msgspec import Struct

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.orders import Orders
from ironclaw_chassis.authentication import Authenticator
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.mcp_server import McpServer, Tool, ToolCall, arguments_of, schema_of
from ironclaw_contracts.artifacts import RelativePath
from ironclaw_contracts.endpoint import MIB, Endpoint
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.errors import Forbidden, Unauthenticated
from ironclaw_contracts.ids import Id
from ironclaw_contracts.snapshots import OrderView, RunView

_BODY_BYTES_MAX = 1 * MIB
_INSTRUCTIONS = (
    "IronClaw turns a message into reviewed, merged work. Start with `chat`; with mode async follow the run"
    " by `run`, look at one of its orders by `order`, read what it wrote by `artifact`. `escalations` lists"
    " what waits for a person."
)


class RunArguments(Struct, frozen=True):
    """Which run."""

    run_id: Id


class OrderArguments(Struct, frozen=True):
    """Which order."""

    order_id: Id


class ArtifactArguments(Struct, frozen=True):
    """Which artifact of which order."""

    order_id: Id
    path: RelativePath


class ArtifactContent(Struct, frozen=True):
    """A file: UTF-8 text as it is, anything else in base64."""

    path: str
    encoding: Literal["utf-8", "base64"]
    content: str


def fleet_server(client: ServiceClient, chat: Chat, authenticator: Authenticator, version: str) -> McpServer:
    """Return the gateway's MCP server; each request needs an API key."""
    return McpServer(
        "ironclaw",
        _INSTRUCTIONS,
        FleetTools(client, chat).all(),
        version=version,
        body_bytes_max=_BODY_BYTES_MAX,
        authenticator=authenticator,
    )


class FleetTools:
    """The tools. Each may be used by whom the endpoint that it stands for allows."""

    def __init__(self, client: ServiceClient, chat: Chat) -> None:
        self._client = client
        self._chat = chat

    def all(self) -> tuple[Tool, ...]:
        """Return the tools."""
        return (
            _tool(api.CHAT, "chat", api.ChatRequest, self.chat),
            _tool(api.GET_RUN, "run", RunArguments, self.run),
            _tool(api.GET_ORDER, "order", OrderArguments, self.order),
            _tool(api.GET_ARTIFACT, "artifact", ArtifactArguments, self.artifact),
            _tool(api.LIST_ESCALATIONS, "escalations", ledger.EscalationsQuery, self.escalations),
        )

    async def chat(self, call: ToolCall) -> api.ChatAnswer:
        """Ask for work."""
        if call.caller is None:
            raise Unauthenticated("an API key is needed")
        return await self._chat.ask(arguments_of(call, api.ChatRequest), call.caller)

    async def run(self, call: ToolCall) -> RunView:
        """Show a run with its orders."""
        return await self._client.call(ledger.GET_RUN, run_id=arguments_of(call, RunArguments).run_id)

    async def order(self, call: ToolCall) -> OrderView:
        """Show an order."""
        return await self._client.call(ledger.GET_ORDER, order_id=arguments_of(call, OrderArguments).order_id)

    async def artifact(self, call: ToolCall) -> ArtifactContent:
        """Read an artifact."""
        wanted = arguments_of(call, ArtifactArguments)
        content = (await Orders(self._client).artifact(wanted.order_id, wanted.path)).content
        try:
            return ArtifactContent(wanted.path, "utf-8", content.decode())
        except UnicodeDecodeError:
            return ArtifactContent(wanted.path, "base64", base64.b64encode(content).decode())

    async def escalations(self, call: ToolCall) -> ledger.EscalationPage:
        """List what waits for a person."""
        query = arguments_of(call, ledger.EscalationsQuery)
        return await self._client.call(ledger.LIST_ESCALATIONS, query=query)


def _tool(
    endpoint: Endpoint[Any, Any, Any],
    name: str,
    arguments: type[Struct],
    run: Callable[[ToolCall], Coroutine[Any, Any, Any]],
) -> Tool:
    """Return the tool that stands for an endpoint, open to the same callers."""

    async def allowed(call: ToolCall) -> Any:
        if call.caller is None:
            raise Unauthenticated("an API key is needed")
        if call.caller.kind not in endpoint.callers:
            raise Forbidden(f"{call.caller.kind} may not use {name}")
        return await run(call)

    return Tool(name, endpoint.summary, schema_of(arguments), allowed, read_only=endpoint.method == "GET")
