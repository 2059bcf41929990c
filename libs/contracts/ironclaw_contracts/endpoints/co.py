"""The commanding officer's endpoints (seed 3.2)."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Artifact, Constraints, Line, Text
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.ids import Id
from ironclaw_contracts.milestones import Evidence
from ironclaw_contracts.outbox import Outgoing, OutgoingStatus
from ironclaw_contracts.plan import Budget, OnOrderFailure, Plan
from ironclaw_contracts.policy import FollowUp
from ironclaw_contracts.snapshots import RunSnapshot
from ironclaw_contracts.spending import SpendingKey

ReplayId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,39}\Z")]
"""Short enough for the ids of runs and theaters that are made of it."""


class RunRequest(Struct, frozen=True, kw_only=True):
    """What a user wants. `run_id` may be chosen by the caller, so that a retry starts nothing twice.

    Without `on_order_failure` the playbook's own way holds. `profile` names the profile of every order
    instead of the routing policy; `replays` the run whose orders are done again; `follow_up` says that an
    earlier run's result is not what was wanted.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=200)]
    objective: Annotated[Text, Meta(min_length=1)]
    theater_hint: Id | None = None
    run_id: Id | None = None
    playbook: Id | None = None
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    constraints: Constraints = field(default_factory=Constraints)
    budget: Budget = field(default_factory=Budget)
    on_order_failure: OnOrderFailure | None = None
    charged_to: SpendingKey | None = None
    profile: Id | None = None
    replays: Id | None = None
    follow_up: FollowUp | None = None


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """Do the orders of a run again with another profile. The same `replay_id` again starts nothing twice."""

    profile: Id
    user_id: Annotated[str, Meta(min_length=1, max_length=200)]
    replay_id: ReplayId | None = None


class ReplayPart(Struct, frozen=True):
    """The orders that began at one commit, done again in a theater that begins there.

    `order_ids` are those of the run that is replayed, in the order of the tasks of the new run's plan.
    """

    run_id: str
    theater_id: str
    base_commit: str
    order_ids: list[str]


class Replay(Struct, frozen=True):
    replay_id: str
    run_id: str
    profile: str
    parts: list[ReplayPart]


class Planned(Struct, frozen=True):
    """The plan and, for each order, what it depends on."""

    run_id: str
    order_ids: list[str]
    dependencies: dict[str, list[str]]
    plan: Plan


class Dispatched(Struct, frozen=True):
    """`enqueued` holds the orders with the workers now, `waiting` those whose dependencies are not merged."""

    run_id: str
    enqueued: list[str]
    waiting: list[str]


class Synthesized(Struct, frozen=True):
    """The reply, present once every order is terminal."""

    run_id: str
    status: RunStatus
    reply: str | None
    artifacts: list[Artifact]


class Cancellation(Struct, frozen=True):
    reason: Line = "cancelled by the user"


class Acknowledgement(Struct, frozen=True):
    """Who has seen an escalation, and what was done about it."""

    acked_by: Line
    note: Annotated[str, Meta(max_length=2_000)] = ""


class Acknowledged(Struct, frozen=True):
    escalation_id: str
    acked_by: str
    note: str


class OutboxQuery(Struct, frozen=True):
    status: OutgoingStatus | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class OutboxPage(Struct, frozen=True):
    """Records of the outbox, newest first."""

    records: list[Outgoing]


class Redelivery(Struct, frozen=True):
    """Which dead letter to deliver again; all of them by default."""

    idempotency_key: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


Words = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"\S")]


class HandMade(Struct, frozen=True, kw_only=True):
    """A milestone that an operator publishes; the same `milestone_id` again is published once."""

    scope: Words
    claim: Words
    next_action: Words = "None."
    risk_status: Literal["on-track", "at-risk", "blocked", "completed"] = "on-track"
    evidence: list[Evidence] = field(default_factory=list[Evidence])
    milestone_id: Id | None = None


CREATE_RUN = Endpoint(
    service=Service.CO,
    name="create_run",
    method="POST",
    path="/runs",
    summary="Create a run from user input; the reconciler plans and dispatches it.",
    body=RunRequest,
    query=Nothing,
    answer=RunSnapshot,
)
PLAN_RUN = Endpoint(
    service=Service.CO,
    name="plan_run",
    method="POST",
    path="/runs/{run_id}/plan",
    summary="Plan the run now, or return the plan it has.",
    body=Nothing,
    query=Nothing,
    answer=Planned,
    timeout_seconds=90.0,
)
DISPATCH_RUN = Endpoint(
    service=Service.CO,
    name="dispatch_run",
    method="POST",
    path="/runs/{run_id}/dispatch",
    summary="Enqueue every order that is ready now.",
    body=Nothing,
    query=Nothing,
    answer=Dispatched,
    timeout_seconds=60.0,
)
SYNTHESIZE_RUN = Endpoint(
    service=Service.CO,
    name="synthesize_run",
    method="POST",
    path="/runs/{run_id}/synthesize",
    summary="Make the reply when every order is terminal.",
    body=Nothing,
    query=Nothing,
    answer=Synthesized,
    timeout_seconds=60.0,
)
CANCEL_RUN = Endpoint(
    service=Service.CO,
    name="cancel_run",
    method="POST",
    path="/runs/{run_id}/cancel",
    summary="Ask for the run to be cancelled.",
    body=Cancellation,
    query=Nothing,
    answer=RunSnapshot,
)
ACK_ESCALATION = Endpoint(
    service=Service.CO,
    name="ack_escalation",
    method="POST",
    path="/escalations/{escalation_id}/ack",
    summary="Record who has seen an escalation.",
    body=Acknowledgement,
    query=Nothing,
    answer=Acknowledged,
    callers=frozenset({Service.API_GATEWAY}),
)
REPLAY_RUN = Endpoint(
    service=Service.CO,
    name="replay_run",
    method="POST",
    path="/runs/{run_id}/replay",
    summary="Do a run's orders again with another profile, each from the commit where it began.",
    body=ReplayRequest,
    query=Nothing,
    answer=Replay,
    callers=frozenset({Service.API_GATEWAY}),
    idempotent=False,
    timeout_seconds=300.0,
)
LIST_OUTBOX = Endpoint(
    service=Service.CO,
    name="list_outbox",
    method="GET",
    path="/outbox",
    summary="Milestones and demand summaries on their way, newest first.",
    body=Nothing,
    query=OutboxQuery,
    answer=OutboxPage,
    callers=frozenset({Service.API_GATEWAY}),
)
REDELIVER = Endpoint(
    service=Service.CO,
    name="redeliver",
    method="POST",
    path="/outbox/redeliver",
    summary="Deliver dead letters again.",
    body=Redelivery,
    query=Nothing,
    answer=OutboxPage,
    callers=frozenset({Service.API_GATEWAY}),
)
EMIT_MILESTONE = Endpoint(
    service=Service.CO,
    name="emit_milestone",
    method="POST",
    path="/milestones",
    summary="Publish a milestone by hand.",
    body=HandMade,
    query=Nothing,
    answer=OutboxPage,
    callers=frozenset({Service.API_GATEWAY}),
    idempotent=False,
)
ENDPOINTS = (
    CREATE_RUN,
    PLAN_RUN,
    DISPATCH_RUN,
    SYNTHESIZE_RUN,
    CANCEL_RUN,
    REPLAY_RUN,
    ACK_ESCALATION,
    LIST_OUTBOX,
    REDELIVER,
    EMIT_MILESTONE,
)
