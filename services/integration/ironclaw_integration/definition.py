"""`.ironclaw/gates.toml`: what a theater asks of work before it is merged. Pure.

Always read from the mainline: a branch that changes the file changes nothing for itself, and its path gate
refuses the change.
"""

import hashlib
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import RelativePath
from ironclaw_contracts.ids import Id
from ironclaw_integration.claims import BLOCKING, MismatchKind

GATES_FILE = ".ironclaw/gates.toml"
MIB = 1024 * 1024
BUILT_IN = (
    *("aar_schema", "artifacts", "clean_tree", "path_policy", "size"),
    *("secret_scan", "required_artifacts", "report"),
)
"""Names of the gates that need no command; no command may take one."""

Pattern = Annotated[str, Meta(min_length=1, max_length=500)]
Word = Annotated[str, Meta(min_length=1, max_length=10_000)]


class BadGates(Exception):
    """gates.toml cannot be used; the message names the field and the mend. Nothing is merged meanwhile."""


class Plant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that the gate must refuse: `content` written to `path`, or the file removed."""

    path: RelativePath
    content: str | None = None
    remove: bool = False


class GateLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one run of a gate's command; `docs/sandbox.md` says how each is kept."""

    wall_seconds: Annotated[float, Meta(gt=0, le=14_400)] = 600.0
    cpu_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 1_200.0
    memory_mib: Annotated[int, Meta(ge=16, le=1024 * 1024)] = 2_048
    processes: Annotated[int, Meta(ge=1, le=100_000)] = 512
    output_kib: Annotated[int, Meta(ge=1, le=16 * 1024)] = 1_024
    disk_mib: Annotated[int, Meta(ge=0, le=1024 * 1024)] = 2_048


class CommandGate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command that judges the merged tree by its exit code: 0 is passed.

    With `kind` tests it must also show that at least `tests_min` tests ran. `counted` is a pattern whose
    groups are numbers of tests that ran, for a runner whose summary is not known. A failure is tried
    `retries` more times; one that passes then is marked flaky.
    """

    name: Id
    run: Annotated[list[Word], Meta(min_length=1, max_length=200)]
    planted: Plant
    kind: Literal["tests", "command"] = "command"
    folder: str = "."
    environment: dict[str, str] = field(default_factory=dict[str, str])
    limits: GateLimits = GateLimits()
    retries: Annotated[int, Meta(ge=0, le=5)] = 0
    tests_min: Annotated[int, Meta(ge=1)] = 1
    counted: Annotated[str, Meta(max_length=500)] | None = None


class Paths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which paths a change may touch, besides what its order allows."""

    allowed: list[Pattern] = field(default_factory=lambda: ["./"])
    protected: list[Pattern] = field(default_factory=list[str])


class Size(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a change may write."""

    file_bytes_max: Annotated[int, Meta(ge=0, le=64 * MIB)] = 16 * MIB
    total_bytes_max: Annotated[int, Meta(ge=0, le=1024 * MIB)] = 64 * MIB
    files_max: Annotated[int, Meta(ge=1)] = 5_000


class Secrets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`allowed` are fingerprints of values known to be harmless, as the gate prints them."""

    scan: bool = True
    allowed: list[Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]] = field(default_factory=list[str])


class Artifacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Patterns of which each must match an artifact that the order reports."""

    required: list[Pattern] = field(default_factory=list[str])


class Reports(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kinds of claims that block a merge when they were not so; the others are noted in the result."""

    block: list[MismatchKind] = field(default_factory=lambda: list(BLOCKING))


class Merge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the queue merges: up to `batch` orders are gated together."""

    batch: Annotated[int, Meta(ge=1, le=64)] = 8
    require_approval: bool = False


class Gates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; without one, the defaults hold and there are no commands."""

    gate: list[CommandGate] = field(default_factory=list[CommandGate])
    paths: Paths = Paths()
    size: Size = Size()
    secrets: Secrets = Secrets()
    artifacts: Artifacts = Artifacts()
    reports: Reports = Reports()
    merge: Merge = Merge()


def parse_gates(text: bytes | None) -> Gates:
    """Read gates.toml; None means that the mainline has none. Raises `BadGates` naming the field."""
    if text is None:
        return Gates()
    try:
        gates = msgspec.toml.decode(text, type=Gates)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BadGates(f"{GATES_FILE}: {problem}") from problem
    names = [gate.name for gate in gates.gate]
    for number, gate in enumerate(gates.gate):
        if gate.name in BUILT_IN or names.count(gate.name) > 1:
            raise BadGates(f"{GATES_FILE}: gate[{number}].name: {gate.name} is taken; choose another")
        if (gate.planted.content is None) is not gate.planted.remove:
            raise BadGates(
                f"{GATES_FILE}: gate[{number}].planted: give `content`, or `remove = true` and no content"
            )
        if gate.counted is not None:
            _check_pattern(number, gate.counted)
    return gates


def _check_pattern(number: int, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as problem:
        raise BadGates(f"{GATES_FILE}: gate[{number}].counted: {problem}") from problem
    if groups == 0:
        raise BadGates(f"{GATES_FILE}: gate[{number}].counted: needs a group that is a number of tests")


def definition_hash(gate: CommandGate) -> str:
    """Return the name of all that decides a gate's verdict on a tree, apart from the tree and the tools."""
    return _hash(msgspec.to_builtins(gate))


def policy_hash(gates: Gates) -> str:
    """Return the name of all that the built-in gates go by."""
    return _hash(
        msgspec.to_builtins([gates.paths, gates.size, gates.secrets, gates.artifacts, gates.reports])
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
