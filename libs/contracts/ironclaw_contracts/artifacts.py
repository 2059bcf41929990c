"""The files in an order's worktree: order.json, aar.json, state.json (seed, section 2)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.ids import Id, Seconds, Sha256
from ironclaw_contracts.spending import Ceiling

Text = Annotated[str, Meta(max_length=262_144)]
Line = Annotated[str, Meta(min_length=1, max_length=2_000)]
RelativePath = Annotated[
    str,
    Meta(
        pattern=r"\A(?![/~-])(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f\x7f\\]{1,1024}\Z",
        description="A path inside the worktree: relative, no `.` or `..` component, no control characters.",
    ),
]

ORDER_FILE = "order.json"
TASK_FILE = "task.md"
STATE_FILE = "state.json"
AAR_FILE = "aar.json"
TRANSCRIPT_FILE = "transcript.jsonl"
OPERATIONAL_FILES = (ORDER_FILE, TASK_FILE, STATE_FILE, AAR_FILE, TRANSCRIPT_FILE)
"""Committed on the order's branch, never merged to the mainline."""


class ToolPolicy(Struct, frozen=True):
    """What a unit may reach; enforced outside the model."""

    network: bool = False
    fs_allowlist: list[str] = field(default_factory=lambda: ["./"])


class Constraints(Struct, frozen=True):
    """Limits of one order. `budget_seconds` bounds one attempt, `max_retries` counts further attempts.

    `priority` moves the order forward in the merge queue, a minute of waiting for each point, or back.
    `spend` bounds what the model calls of all its attempts may cost together.
    """

    budget_seconds: Seconds = 60
    max_retries: Annotated[int, Meta(ge=0, le=20)] = 1
    tool_policy: ToolPolicy = field(default_factory=ToolPolicy)
    priority: Annotated[int, Meta(ge=-60, le=60)] = 0
    spend: Ceiling = Ceiling()


class Profile(Struct, frozen=True):
    """Which executor and model run the order."""

    name: Id = "executor_default"
    model: Annotated[str, Meta(max_length=200)] = ""


class Order(Struct, frozen=True):
    """order.json: the whole of what a unit is told."""

    order_id: Id
    run_id: Id
    theater_id: Id
    type: Id
    objective: Text
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    constraints: Constraints = field(default_factory=Constraints)
    profile: Profile = field(default_factory=Profile)


class Artifact(Struct, frozen=True, omit_defaults=True):
    """A file that an order produced, by path in its commit."""

    path: RelativePath
    type: Annotated[str, Meta(max_length=200)] = "application/octet-stream"
    sha256: Sha256 | None = None
    size: Annotated[int, Meta(ge=0)] | None = None


class ModelUse(Struct, frozen=True, omit_defaults=True):
    """Which model answered. `provider` is `offline` when no model was asked."""

    provider: Annotated[str, Meta(max_length=200)]
    name: Annotated[str, Meta(max_length=200)]
    temperature: float | None = None
    tokens_in: Annotated[int, Meta(ge=0)] | None = None
    tokens_out: Annotated[int, Meta(ge=0)] | None = None


class Claims(Struct, frozen=True):
    """What a unit says it did, as it says it; whoever merges judges it by the transcript and the commit.

    `commands` are command lines, `tests_passed` is None when it says nothing about tests.
    """

    commands: list[list[str]] = field(default_factory=list[list[str]])
    files_changed: list[str] = field(default_factory=list[str])
    tests_passed: bool | None = None


class Effort(Struct, frozen=True, omit_defaults=True):
    """What an attempt took: calls by tool, how many went wrong, tokens, millionths of a US dollar."""

    tool_calls: dict[str, int] = field(default_factory=dict[str, int])
    unsuccessful: int = 0
    model_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microusd: int = 0


class Aar(Struct, frozen=True):
    """aar.json: the after-action report of one attempt."""

    order_id: Id
    status: Literal["completed", "failed", "blocked"]
    completed_at: datetime
    summary: Text
    artifacts: list[Artifact]
    model: ModelUse | None = None
    notes: list[Line] = field(default_factory=list[str])
    next_recommendations: list[Line] = field(default_factory=list[str])
    claims: Claims | None = None
    effort: Effort | None = None


class WorktreeStateFile(Struct, frozen=True):
    """state.json: how far the unit got, for whoever looks into the worktree."""

    order_id: Id
    attempt: int
    phase: Literal["prepared", "running", "reported"]
    updated_at: datetime
