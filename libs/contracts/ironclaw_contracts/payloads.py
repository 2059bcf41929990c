"""What each event type carries. Unknown members are kept in the ledger and ignored here."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Artifact, Constraints, Effort, Line, ModelUse, Order, Text
from ironclaw_contracts.enums import Cause, Severity
from ironclaw_contracts.ids import Attempt, Id, Seconds, Sha, Sha256
from ironclaw_contracts.plan import Budget, OnOrderFailure, Plan
from ironclaw_contracts.policy import (
    Charged,
    Evaluation,
    FollowUp,
    PolicyDocument,
    PolicyParameters,
    PolicyVersion,
    Routing,
    Verdict,
)
from ironclaw_contracts.spending import SpendingKey

Evidence = dict[str, Any]


class Payload(Struct, frozen=True, kw_only=True):
    """Base of all payloads."""


class AttemptPayload(Payload, frozen=True, kw_only=True):
    """Base of payloads that belong to one attempt; `attempt` is the fencing token."""

    attempt: Attempt = 1


class RunCreated(Payload, frozen=True, kw_only=True):
    """`profile` names the profile of every order; `replays` the run whose orders are done again."""

    user_id: Annotated[str, Meta(min_length=1, max_length=200)]
    objective: Text
    playbook: Id | None = None
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    constraints: Constraints = field(default_factory=Constraints)
    budget: Budget = field(default_factory=Budget)
    on_order_failure: OnOrderFailure = "fail"
    charged_to: SpendingKey | None = None
    profile: Id | None = None
    replays: Id | None = None
    follow_up: FollowUp | None = None


class IntentLink(Struct, frozen=True, kw_only=True):
    """The intent that was announced for a plan, and the validator's ACK once there is one."""

    intent_id: Id
    intent_version: int
    intent_hash: str
    plan_version: int
    ack_id: Id | None = None
    ack_status: Literal["accepted", "rejected", "needs_review"] | None = None
    ack_notes: list[str] = field(default_factory=list[str])


class RunUpdated(Payload, frozen=True, kw_only=True):
    """`intent` may come after the run's end, when its ACK does; nothing else may.

    `policy_version` is the policy by which further orders of the run are routed.
    """

    plan: Plan | None = None
    policy_version: PolicyVersion | None = None
    intent: IntentLink | None = None
    cancel_requested: Line | None = None
    note: Line | None = None


class RunCompleted(Payload, frozen=True, kw_only=True):
    reply: Text
    artifacts: list[Artifact] = field(default_factory=list[Artifact])


class RunEnded(Payload, frozen=True, kw_only=True):
    """RUN_FAILED and RUN_CANCELLED."""

    reason: Line


class OrderCreated(Payload, frozen=True, kw_only=True):
    order: Order
    title: Line
    depends_on: list[Id] = field(default_factory=list[str])
    replaces: Id | None = None
    routing: Routing | None = None


class OrderEnqueued(AttemptPayload, frozen=True, kw_only=True):
    base_commit: Sha


class OrderClaimed(AttemptPayload, frozen=True, kw_only=True):
    lease_seconds: Seconds = 15


class OrderStarted(AttemptPayload, frozen=True, kw_only=True):
    executor: Id = "model"


class OrderBlocked(AttemptPayload, frozen=True, kw_only=True):
    reason: Line
    conflicts: list[str] = field(default_factory=list[str])
    next_recommendations: list[Line] = field(default_factory=list[str])


class OrderCompleted(AttemptPayload, frozen=True, kw_only=True):
    commit_sha: Sha
    summary: Text = ""


class OrderFailed(AttemptPayload, frozen=True, kw_only=True):
    """`final` is the duty officer's word that no further attempt follows."""

    cause: Cause = Cause.TASK
    reason: Line
    final: bool = False
    commit_sha: Sha | None = None


class OrderReissued(AttemptPayload, frozen=True, kw_only=True):
    """`attempt` is the new one; the previous is fenced off from here on."""

    reason: Line
    cause: Cause = Cause.TASK


class OrderAdopted(AttemptPayload, frozen=True, kw_only=True):
    """The finished work of attempt `adopts` becomes the order's result.

    `attempt` is a new one, so that whichever unit holds the present one is fenced off. `worktree`, `report`
    and `artifacts` are those of the adopted attempt, read from its branch and checked before.
    """

    adopts: Attempt
    commit_sha: Sha
    reason: Line
    path: str
    branch: str
    base_commit: Sha
    report: "AarWritten"
    artifacts: list[Artifact] = field(default_factory=list[Artifact])


class OrderCancelled(AttemptPayload, frozen=True, kw_only=True):
    reason: Line
    replaced_by: Id | None = None


class WorktreeCreated(AttemptPayload, frozen=True, kw_only=True):
    """`contains` lists the merges that the vault proved to be ancestors of the base commit."""

    path: str
    branch: str
    base_commit: Sha
    contains: list[Sha] = field(default_factory=list[str])


class WorktreeReady(AttemptPayload, frozen=True, kw_only=True):
    path: str


class WorktreeArchived(AttemptPayload, frozen=True, kw_only=True):
    """Either a ref that keeps the commits, or files with their hash, or both."""

    ref: str | None = None
    head: Sha | None = None
    files: list[str] = field(default_factory=list[str])
    sha256: Sha256 | None = None


class WorktreeRemoved(AttemptPayload, frozen=True, kw_only=True):
    path: str


class ArtifactWritten(AttemptPayload, frozen=True, kw_only=True):
    artifact: Artifact


class AarWritten(AttemptPayload, frozen=True, kw_only=True):
    """`effort` counts the attempt's tool and model calls; each call is in transcript.jsonl."""

    path: str
    sha256: Sha256
    status: str
    summary: Text
    model: ModelUse | None = None
    next_recommendations: list[Line] = field(default_factory=list[str])
    effort: Effort | None = None


class IntegrationReady(AttemptPayload, frozen=True, kw_only=True):
    commit_sha: Sha
    checks: list[str] = field(default_factory=list[str])


class IntegrationStarted(AttemptPayload, frozen=True, kw_only=True):
    commit_sha: Sha
    gate_profile: Id = "default"


class GateResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict of one gate: `passed`, `failed`, or `could_not_run`.

    `output` is the hash under which integration keeps what the gate's command printed; `cached` when the
    same tree was judged before; `flaky` when it failed first. `mismatches` are the kinds of claims in the
    report that were not so.
    """

    gate: Id
    verdict: Annotated[str, Meta(pattern=r"\A(passed|failed|could_not_run)\Z")]
    detail: str = ""
    output: Sha256 | None = None
    cached: bool = False
    flaky: bool = False
    mismatches: list[Id] = field(default_factory=list[str])


class IntegrationPassed(AttemptPayload, frozen=True, kw_only=True):
    """`merge_commit` is the candidate that was gated and will be promoted onto `onto`.

    Of orders that are merged together each stands on the one before it.
    """

    merge_commit: Sha
    onto: Sha
    gates: list[GateResult]


class IntegrationFailed(AttemptPayload, frozen=True, kw_only=True):
    """`hold` means the work is fine and the merge has to wait; integration itself tries again."""

    reason: Line
    hold: bool = False
    conflicts: list[str] = field(default_factory=list[str])
    gates: list[GateResult] = field(default_factory=list[GateResult])


class Integrated(AttemptPayload, frozen=True, kw_only=True):
    commit_sha: Sha
    mainline: str


class EscalationRaised(Payload, frozen=True, kw_only=True):
    """Something that a person should know. `subject` names what it is about, the same each time."""

    severity: Severity
    subject: Annotated[str, Meta(max_length=200)] = ""
    route: Id = "log"
    reason: Line
    evidence: Evidence = field(default_factory=dict[str, Any])


class EscalationAcked(Payload, frozen=True, kw_only=True):
    escalation_id: str
    acked_by: Line
    note: str = ""


class RecoveryRequired(AttemptPayload, frozen=True, kw_only=True):
    reason: Line
    evidence: Evidence = field(default_factory=dict[str, Any])


class RecoveryStarted(AttemptPayload, frozen=True, kw_only=True):
    """`since` is when the fault began as far as the signals show; patrols are graded by it."""

    reason: Line
    rule: Id | None = None
    since: datetime | None = None


class RecoveryCompleted(AttemptPayload, frozen=True, kw_only=True):
    outcome: Line


class PatrolTick(Payload, frozen=True, kw_only=True):
    figures: dict[str, int | float] = field(default_factory=dict[str, int | float])


class ServiceHealth(Payload, frozen=True, kw_only=True):
    """SERVICE_DEGRADED and SERVICE_RECOVERED."""

    service: str
    reason: Line


class FeedbackRecorded(Payload, frozen=True, kw_only=True):
    """What somebody thought of a result. `orders` are those that it counts for.

    It is empty when it counts for none: the run is unknown, or an earlier feedback of the same kind counts
    already. `noted` counts for nothing: an outside session that went neither well nor badly. `detail`
    names what it came from.
    """

    verdict: Verdict | Literal["noted"]
    origin: Literal["person", "follow_up", "appleseed"]
    by: Line
    comment: Annotated[str, Meta(max_length=4_000)] = ""
    orders: list[Charged] = field(default_factory=list[Charged])
    detail: Evidence = field(default_factory=dict[str, Any])


class PolicyUpdated(Payload, frozen=True, kw_only=True):
    """A step in the life of the routing policy.

    `configured` records the parameters; `proposed` a policy with what the gate found; the others put
    `version` in force instead of `replaces`, the built-in one when there is no document. `diff` says in words
    which shares change.
    """

    action: Literal["configured", "proposed", "promoted", "rolled_back", "demoted"]
    version: PolicyVersion
    replaces: PolicyVersion | None = None
    by: Line
    reason: Line
    parameters: PolicyParameters | None = None
    document: PolicyDocument | None = None
    evaluation: Evaluation | None = None
    diff: list[Line] = field(default_factory=list[str])
