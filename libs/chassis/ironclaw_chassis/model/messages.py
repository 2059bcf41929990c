"""What goes to a model and what comes back, in the shape of the OpenAI chat completions API. Pure."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

_MESSAGE_OVERHEAD_TOKENS = 32
"""Of a chat template, for each message and tool: role markers and separators."""


class ToolRequest(Struct, frozen=True):
    """A tool call as the model wrote it; `arguments` is its text, which need not be JSON."""

    call_id: str
    name: str
    arguments: str


class ToolSpec(Struct, frozen=True):
    """A tool that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn. `tool_calls` of an assistant, `tool_call_id` of the answer to one."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolRequest, ...] = ()
    tool_call_id: str = ""


class ModelRequest(Struct, frozen=True, kw_only=True):
    """One call. `output_tokens_max` bounds the answer, and with it what the call can cost."""

    model: str
    messages: tuple[Message, ...]
    temperature: float
    output_tokens_max: int
    tools: tuple[ToolSpec, ...] = ()

    def wire(self) -> dict[str, Any]:
        """Return the body of the call."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_wire_message(message) for message in self.messages],
            "temperature": self.temperature,
            "max_tokens": self.output_tokens_max,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.tools:
            body["tools"] = [
                {"type": "function", "function": msgspec.to_builtins(tool)} for tool in self.tools
            ]
        return body

    def input_tokens_max(self) -> int:
        """Return a bound of what the provider counts as input: no tokenizer makes two tokens of a byte."""
        body = self.wire()
        pieces = [*body["messages"], *body.get("tools", [])]
        return sum(len(msgspec.json.encode(piece)) + _MESSAGE_OVERHEAD_TOKENS for piece in pieces)


class Reply(Struct, frozen=True, kw_only=True):
    """A model's answer and what it cost. `counted` is false when the provider gave no usage."""

    text: str
    model: str
    tool_calls: tuple[ToolRequest, ...] = ()
    finish_reason: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microusd: int = 0
    counted: bool = True


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return wire
