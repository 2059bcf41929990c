"""Orders that run a command: what they say, and which commands a theater allows.

The policy stands on the theater's mainline, so that no branch can widen what its own order may run.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_contracts.errors import BadRequest

COMMAND = "command"
"""The type of an order whose unit runs one command."""
AGENT = "agent"
"""The type of an order whose unit is a model with tools."""

POLICY_FILE = ".ironclaw/policy.toml"
POLICY_BYTES_MAX = 64 * 1024

Program = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,99}\Z",
        description="The name of a program, without a folder: it is found on the worker's own path.",
    ),
]
Argument = Annotated[str, Meta(max_length=32_768, pattern=r"\A[^\x00]*\Z")]

DEFAULT_COMMANDS = ("ruff",)
"""Allowed where a theater has no policy: what comes with the worker, and changes code by fixed rules."""


class CommandInputs(Struct, frozen=True):
    """`inputs` of a `command` order. `argv` is run as it is, never through a shell, in `folder`.

    `accept` are the exit codes that mean success: some tools say with 1 that they found something.
    """

    argv: Annotated[list[Argument], Meta(min_length=1, max_length=10_000)]
    folder: Annotated[str, Meta(max_length=1_024)] = "."
    accept: Annotated[list[Annotated[int, Meta(ge=0, le=255)]], Meta(min_length=1, max_length=20)] = field(
        default_factory=lambda: [0]
    )


class AgentInputs(Struct, frozen=True):
    """`inputs` of an `agent` order. `calls_max` bounds tool calls, `tokens_max` what model calls take.

    Time is bounded by the order's `budget_seconds`, money by its ceilings. `files` are worth reading first.
    """

    calls_max: Annotated[int, Meta(ge=1, le=1_000)] = 60
    tokens_max: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_000_000
    files: Annotated[list[str], Meta(max_length=1_000)] = field(default_factory=list[str])


class CommandPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`allow` are the programs that orders and agents may run; `network` lets those join that ask for it."""

    allow: Annotated[list[Program], Meta(max_length=200)] = field(
        default_factory=lambda: list(DEFAULT_COMMANDS)
    )
    network: bool = False


class TheaterPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`.ironclaw/policy.toml` of a theater's mainline; every default stands where it says nothing."""

    commands: CommandPolicy = field(default_factory=CommandPolicy)


def parse_policy(raw: bytes | None) -> TheaterPolicy:
    """Read a policy; None where the mainline has none. Raises `BadRequest` naming the field and the mend."""
    if raw is None:
        return TheaterPolicy()
    if len(raw) > POLICY_BYTES_MAX:
        raise BadRequest(f"{POLICY_FILE}: is longer than {POLICY_BYTES_MAX} bytes")
    try:
        return msgspec.toml.decode(raw, type=TheaterPolicy)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"{POLICY_FILE}: {error}; docs/work.md lists what may stand there") from error


def command_inputs(inputs: dict[str, Any]) -> CommandInputs:
    """Return the inputs of a `command` order. Raises `BadRequest` naming the field that is wrong."""
    try:
        return msgspec.convert(inputs, CommandInputs)
    except msgspec.ValidationError as error:
        raise BadRequest(f"inputs of a command order: {error}") from error


def agent_inputs(inputs: dict[str, Any]) -> AgentInputs:
    """Return the inputs of an `agent` order. Raises `BadRequest` naming the field that is wrong."""
    try:
        return msgspec.convert(inputs, AgentInputs)
    except msgspec.ValidationError as error:
        raise BadRequest(f"inputs of an agent order: {error}") from error


def refusal(program: str, policy: TheaterPolicy) -> str | None:
    """Return why a theater does not let a program run, with the mend; None when it does."""
    if program in policy.commands.allow:
        return None
    named = ", ".join(policy.commands.allow) or "none"
    return (
        f"the command {program[:100]!r} is not allowed in this theater (allowed: {named}); "
        f"add its name to commands.allow in {POLICY_FILE} on the mainline"
    )
