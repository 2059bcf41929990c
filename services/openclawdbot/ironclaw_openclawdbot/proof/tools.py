"""The validator's MCP tools: the documented envelopes in, the receipt out (contract: Transport)."""

import json
from typing import Any

from ironclaw_chassis.authentication import Authenticator
from ironclaw_chassis.mcp_server import Arguments, McpServer, Tool, ToolCall, arguments_of, schema_of
from ironclaw_contracts.endpoint import KIB, Nothing
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.poi.receipts import Receipt
from ironclaw_openclawdbot.parts import Parts

INTENT_EVENT, HEARTBEAT_EVENT = "poi/announce", "availability/heartbeat"
_BODY_BYTES_MAX = 320 * KIB  # a message, and what JSON-RPC puts around it
_INSTRUCTIONS = (
    "An OpenClaw validator. Announce signed intents and send signed heartbeats; each is answered with a"
    " signed ACK. Reading needs a service token of the fleet."
)


def proof_server(parts: Parts, authenticator: Authenticator, version: str) -> McpServer:
    """Return the validator's MCP server."""
    tools = ProofTools(parts, authenticator)
    return McpServer(
        "openclaw-validator", _INSTRUCTIONS, tools.all(), version=version, body_bytes_max=_BODY_BYTES_MAX
    )


class ProofTools:
    """What MCP clients may do. Signed messages speak for themselves; reading needs an identity."""

    def __init__(self, parts: Parts, authenticator: Authenticator) -> None:
        self._parts = parts
        self._authenticator = authenticator

    def all(self) -> tuple[Tool, ...]:
        """Return the tools."""
        return (
            Tool(
                "poi_announce",
                "Announce a signed intent; the answer is a signed ACK.",
                _envelope(
                    INTENT_EVENT,
                    {"intent": "object", "intent_signature": "object", "envelope_signature": "object"}
                    | {"seq_no": "integer", "timestamp": "string", "policy_version": "string"},
                    optional={"envelope_signature"},
                ),
                self.announce,
            ),
            Tool(
                "availability_heartbeat",
                "Say that a node is alive, signed; the answer is a signed ACK.",
                _envelope(HEARTBEAT_EVENT, {"heartbeat": "object", "signature": "object"}),
                self.heartbeat,
            ),
            Tool(
                "poi_intent",
                "All that was said of one intent, with the receipts.",
                schema_of(api.IntentQuery),
                self.intent,
                read_only=True,
            ),
            Tool(
                "availability_nodes",
                "Every node with its status now.",
                schema_of(Nothing),
                self.nodes,
                read_only=True,
            ),
        )

    async def announce(self, call: ToolCall) -> Receipt:
        """Answer an announced intent."""
        return await self._parts.validator.announce(_message(call.arguments, INTENT_EVENT))

    async def heartbeat(self, call: ToolCall) -> Receipt:
        """Answer a heartbeat."""
        return await self._parts.validator.heartbeat(_message(call.arguments, HEARTBEAT_EVENT))

    async def intent(self, call: ToolCall) -> api.IntentView:
        """Show an intent."""
        await self._authenticator.authenticate(call.authorization)
        return await self._parts.proof.intent(arguments_of(call, api.IntentQuery).intent_id)

    async def nodes(self, call: ToolCall) -> api.Nodes:
        """Show the nodes."""
        await self._authenticator.authenticate(call.authorization)
        return await self._parts.proof.nodes()


def _message(arguments: Arguments, event: str) -> bytes:
    """Return the envelope among a tool's arguments, as it came over HTTP."""
    found = arguments.get("event", event)
    if found != event:
        raise BadRequest(f"event: {str(found)[:60]!r} is not this tool's: send {event!r}, or none")
    return json.dumps({name: value for name, value in arguments.items() if name != "event"}).encode()


def _envelope(event: str, members: dict[str, str], optional: set[str] | None = None) -> dict[str, Any]:
    members = {"mcp_request": "object", **members}
    return {
        "type": "object",
        "properties": {
            "event": {"type": "string", "const": event},
            **{name: {"type": kind} for name, kind in members.items()},
        },
        "required": sorted(members.keys() - (optional or set())),
    }
