"""What a unit really did: transcript.jsonl, one tool call a line, committed beside aar.json.

The unit's process writes it, never the model: a report's claims are judged by it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import TRANSCRIPT_FILE, Effort
from ironclaw_contracts.errors import BadRequest

OUTPUT_CHARS_MAX = 16_384
"""Of each stream, and of any other text that a call gave; the end is kept, as it says how it went."""

Outcome = Literal["done", "failed", "refused", "malformed"]
"""`failed`: it ran and went wrong; `refused`: policy or limits forbade it; `malformed`: no call at all."""


class Run(Struct, frozen=True, omit_defaults=True):
    """How a command ended, with what it used. `ended` is the sandbox's word; see docs/sandbox.md."""

    argv: list[str]
    ended: str
    tier: str
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes_max: int = 0
    processes_max: int = 0
    written_bytes: int = 0


class ToolCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `arguments` as the model gave them; `result` what it was told, unless `run` has it."""

    number: Annotated[int, Meta(ge=1)]
    tool: Annotated[str, Meta(max_length=100)]
    at: datetime
    outcome: Outcome
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    result: str = ""
    run: Run | None = None


def encode_transcript(calls: Iterable[ToolCall]) -> bytes:
    """Return the lines of transcript.jsonl."""
    return b"".join(msgspec.json.encode(call) + b"\n" for call in calls)


def decode_transcript(raw: bytes) -> list[ToolCall]:
    """Read transcript.jsonl. Raises `BadRequest` naming the line that is wrong."""
    calls: list[ToolCall] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            calls.append(msgspec.json.decode(line, type=ToolCall))
        except msgspec.DecodeError as error:
            raise BadRequest(f"{TRANSCRIPT_FILE}, line {number}: {error}") from error
    return calls


def effort_of(
    calls: Iterable[ToolCall], *, model_calls: int = 0, tokens_in: int = 0, tokens_out: int = 0, cost: int = 0
) -> Effort:
    """Return the counts of an order's calls; `cost` in millionths of a US dollar."""
    counted: dict[str, int] = {}
    unsuccessful = 0
    for call in calls:
        counted[call.tool] = counted.get(call.tool, 0) + 1
        unsuccessful += call.outcome != "done"
    return Effort(
        tool_calls=counted,
        unsuccessful=unsuccessful,
        model_calls=model_calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_microusd=cost,
    )


def tail(text: str, chars_max: int = OUTPUT_CHARS_MAX) -> str:
    """Return the end of a text, marked when it was cut."""
    return text if len(text) <= chars_max else f"(the beginning was cut)\n{text[-chars_max:]}"
