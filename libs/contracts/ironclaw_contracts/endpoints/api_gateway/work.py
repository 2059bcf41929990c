"""What users ask and watch (seed 3.1): chats, runs, orders, artifacts, theaters."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Artifact, Constraints, RelativePath, Text
from ironclaw_contracts.as_of import AsOf, AsOfQuery
from ironclaw_contracts.endpoint import USERS, Endpoint, Nothing
from ironclaw_contracts.endpoints.co import Cancellation
from ironclaw_contracts.endpoints.ledger import (
    Chain,
    OrderPage,
    OrdersQuery,
    RunPage,
    RunQuery,
    RunsQuery,
)
from ironclaw_contracts.endpoints.ledger_spending import Accounts
from ironclaw_contracts.endpoints.vault import (
    Diff,
    LogQuery,
    TheaterLog,
    Theaters,
)
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import Event
from ironclaw_contracts.ids import Id
from ironclaw_contracts.plan import Budget, OnOrderFailure
from ironclaw_contracts.policy import FollowUp
from ironclaw_contracts.snapshots import OrderView, RunSnapshot, RunView
from ironclaw_contracts.why import Why


class ChatRequest(Struct, frozen=True, kw_only=True):
    """The seed's request, and what a user may add to steer the plan.

    `mode: sync` answers with the reply, or like async once `deadline_seconds` have passed.
    `run_id` may be chosen by the client, so that a retry starts nothing twice. Without `on_order_failure` the
    playbook's own way holds: `continue` where orders do not build on each other, else `fail`. `profile` names
    the profile of every order; `follow_up` says that an earlier run's result is rejected, or wanted again.
    """

    message: Annotated[Text, Meta(min_length=1)]
    user_id: Annotated[str, Meta(min_length=1, max_length=200)] = "anonymous"
    theater_hint: Id | None = None
    mode: Literal["sync", "async"] = "sync"
    deadline_seconds: Annotated[int, Meta(ge=1, le=600)] = 60
    run_id: Id | None = None
    playbook: Id | None = None
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    constraints: Constraints = field(default_factory=Constraints)
    budget: Budget = field(default_factory=Budget)
    on_order_failure: OnOrderFailure | None = None
    profile: Id | None = None
    follow_up: FollowUp | None = None


class ChatAnswer(Struct, frozen=True, omit_defaults=True):
    """With `reply` when the run is done; with `status` OPEN when it goes on without the caller."""

    run_id: str
    status: RunStatus
    reply: str | None = None
    artifacts: list[Artifact] = field(default_factory=list[Artifact])
    reason: str | None = None


class FollowQuery(Struct, frozen=True):
    """`after` is a ledger seq; a `Last-Event-ID` header overrides it."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class ArtifactQuery(Struct, frozen=True):
    """A file that the order reports, now or as of then."""

    path: RelativePath
    as_of: AsOf | None = None


CHAT = Endpoint(
    service=Service.API_GATEWAY,
    name="chat",
    method="POST",
    path="/chat",
    summary="Ask for work; answered with the reply, or with the run to follow.",
    body=ChatRequest,
    query=Nothing,
    answer=ChatAnswer,
    callers=USERS,
    idempotent=False,
    timeout_seconds=660.0,
)
LIST_RUNS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_runs",
    method="GET",
    path="/runs",
    summary="Runs, newest first.",
    body=Nothing,
    query=RunsQuery,
    answer=RunPage,
    callers=USERS,
)
GET_RUN = Endpoint(
    service=Service.API_GATEWAY,
    name="get_run",
    method="GET",
    path="/runs/{run_id}",
    summary="A run with its orders, now or as of then.",
    body=Nothing,
    query=RunQuery,
    answer=RunView,
    callers=USERS,
)
FOLLOW_RUN = Endpoint(
    service=Service.API_GATEWAY,
    name="follow_run",
    method="GET",
    path="/runs/{run_id}/events",
    summary="The run's events as they happen; ends with the run.",
    body=Nothing,
    query=FollowQuery,
    answer=Event,
    callers=USERS,
    form="events",
)
WHY_RUN = Endpoint(
    service=Service.API_GATEWAY,
    name="why_run",
    method="GET",
    path="/runs/{run_id}/why",
    summary="What the run waits for, who moves next, and by when.",
    body=Nothing,
    query=AsOfQuery,
    answer=Why,
    callers=USERS,
)
RUN_SPENDING = Endpoint(
    service=Service.API_GATEWAY,
    name="run_spending",
    method="GET",
    path="/runs/{run_id}/spending",
    summary="What a run and its key have spent and may spend.",
    body=Nothing,
    query=Nothing,
    answer=Accounts,
    callers=USERS,
)
GET_RECEIPT = Endpoint(
    service=Service.API_GATEWAY,
    name="get_receipt",
    method="GET",
    path="/runs/{run_id}/receipt",
    summary="The run's mission receipt: one file that proves it offline.",
    body=Nothing,
    query=Nothing,
    answer=bytes,
    callers=USERS,
    form="bytes",
    timeout_seconds=120.0,
)
CANCEL_RUN = Endpoint(
    service=Service.API_GATEWAY,
    name="cancel_run",
    method="POST",
    path="/runs/{run_id}/cancel",
    summary="Ask for the run to be cancelled.",
    body=Cancellation,
    query=Nothing,
    answer=RunSnapshot,
    callers=USERS,
)
LIST_ORDERS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_orders",
    method="GET",
    path="/orders",
    summary="Orders, newest first.",
    body=Nothing,
    query=OrdersQuery,
    answer=OrderPage,
    callers=USERS,
)
GET_ORDER = Endpoint(
    service=Service.API_GATEWAY,
    name="get_order",
    method="GET",
    path="/orders/{order_id}",
    summary="An order with its lease, artifacts and report.",
    body=Nothing,
    query=AsOfQuery,
    answer=OrderView,
    callers=USERS,
)
WHY_ORDER = Endpoint(
    service=Service.API_GATEWAY,
    name="why_order",
    method="GET",
    path="/orders/{order_id}/why",
    summary="What the order waits for, who moves next, and by when.",
    body=Nothing,
    query=AsOfQuery,
    answer=Why,
    callers=USERS,
)
GET_ARTIFACT = Endpoint(
    service=Service.API_GATEWAY,
    name="get_artifact",
    method="GET",
    path="/orders/{order_id}/artifact",
    summary="The bytes of one artifact, now or as of then.",
    body=Nothing,
    query=ArtifactQuery,
    answer=bytes,
    callers=USERS,
    form="bytes",
)
GET_DIFF = Endpoint(
    service=Service.API_GATEWAY,
    name="get_diff",
    method="GET",
    path="/orders/{order_id}/diff",
    summary="What the order changed: its merge, or its commit while it is not merged; now or as of then.",
    body=Nothing,
    query=AsOfQuery,
    answer=Diff,
    callers=USERS,
    timeout_seconds=30.0,
)
LIST_THEATERS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_theaters",
    method="GET",
    path="/theaters",
    summary="Every theater.",
    body=Nothing,
    query=AsOfQuery,
    answer=Theaters,
    callers=USERS,
)
READ_LOG = Endpoint(
    service=Service.API_GATEWAY,
    name="read_log",
    method="GET",
    path="/theaters/{theater_id}/log",
    summary="The mainline's history as a graph.",
    body=Nothing,
    query=LogQuery,
    answer=TheaterLog,
    callers=USERS,
)
GET_CHAIN = Endpoint(
    service=Service.API_GATEWAY,
    name="get_chain",
    method="GET",
    path="/ledger/chain",
    summary="Head of the hash chain.",
    body=Nothing,
    query=Nothing,
    answer=Chain,
    callers=USERS,
)
ENDPOINTS = (
    CHAT,
    LIST_RUNS,
    GET_RUN,
    FOLLOW_RUN,
    WHY_RUN,
    RUN_SPENDING,
    GET_RECEIPT,
    CANCEL_RUN,
    LIST_ORDERS,
    GET_ORDER,
    WHY_ORDER,
    GET_ARTIFACT,
    GET_DIFF,
    LIST_THEATERS,
    READ_LOG,
    GET_CHAIN,
)
