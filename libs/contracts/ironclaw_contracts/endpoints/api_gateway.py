"""The gateway's endpoints (seed 3.1): the only surface that people and programs outside the fleet see."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.access import ApiKey, ApiKeys, KeyRequest, NewKey
from ironclaw_contracts.artifacts import Artifact, Constraints, RelativePath, Text
from ironclaw_contracts.chain import ExportedEvent, Verification
from ironclaw_contracts.endpoint import OPERATORS, USERS, Endpoint, Nothing
from ironclaw_contracts.endpoints.co import Cancellation
from ironclaw_contracts.endpoints.duty_officer import Patrol
from ironclaw_contracts.endpoints.integration import IntegrationAnswer, IntegrationRequest
from ironclaw_contracts.endpoints.ledger import (
    Chain,
    EventPage,
    EventsQuery,
    OrderPage,
    OrdersQuery,
    Rebuilt,
    RunPage,
    RunQuery,
    RunsQuery,
)
from ironclaw_contracts.endpoints.observer import TheaterPatrol
from ironclaw_contracts.endpoints.vault import LogQuery, Theater, TheaterLog, TheaterRequest, Theaters
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.events import Event
from ironclaw_contracts.ids import Id
from ironclaw_contracts.plan import Budget
from ironclaw_contracts.snapshots import OrderView, RunSnapshot, RunView
from ironclaw_contracts.why import Why


class ChatRequest(Struct, frozen=True, kw_only=True):
    """The seed's request, and what a user may add to steer the plan.

    `mode: sync` answers with the reply, or like async once `deadline_seconds` have passed.
    `run_id` may be chosen by the client, so that a retry starts nothing twice.
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
    path: RelativePath


class ServiceStatus(Struct, frozen=True):
    service: str
    ready: bool
    detail: str


class FleetStatus(Struct, frozen=True):
    """Readiness of every service, as the gateway sees it now."""

    services: list[ServiceStatus]


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
    summary="A run with its orders, now or as of a seq.",
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
    query=Nothing,
    answer=Why,
    callers=USERS,
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
    query=Nothing,
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
    query=Nothing,
    answer=Why,
    callers=USERS,
)
GET_ARTIFACT = Endpoint(
    service=Service.API_GATEWAY,
    name="get_artifact",
    method="GET",
    path="/orders/{order_id}/artifact",
    summary="The bytes of one artifact.",
    body=Nothing,
    query=ArtifactQuery,
    answer=bytes,
    callers=USERS,
    form="bytes",
)
LIST_THEATERS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_theaters",
    method="GET",
    path="/theaters",
    summary="Every theater.",
    body=Nothing,
    query=Nothing,
    answer=Theaters,
    callers=USERS,
)
OPEN_THEATER = Endpoint(
    service=Service.API_GATEWAY,
    name="open_theater",
    method="POST",
    path="/theaters",
    summary="Create a theater, or open one on a repository.",
    body=TheaterRequest,
    query=Nothing,
    answer=Theater,
    callers=OPERATORS,
    timeout_seconds=60.0,
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
LIST_EVENTS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_events",
    method="GET",
    path="/events",
    summary="Events after a cursor, oldest first.",
    body=Nothing,
    query=EventsQuery,
    answer=EventPage,
    callers=OPERATORS,
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
VERIFY_CHAIN = Endpoint(
    service=Service.API_GATEWAY,
    name="verify_chain",
    method="POST",
    path="/ledger/verify",
    summary="Recompute the whole chain from the stored bytes.",
    body=Nothing,
    query=Nothing,
    answer=Verification,
    callers=OPERATORS,
    timeout_seconds=600.0,
)
EXPORT = Endpoint(
    service=Service.API_GATEWAY,
    name="export",
    method="GET",
    path="/ledger/export",
    summary="The whole ledger as JSON lines.",
    body=Nothing,
    query=Nothing,
    answer=ExportedEvent,
    callers=OPERATORS,
    form="lines",
    timeout_seconds=600.0,
)
REBUILD = Endpoint(
    service=Service.API_GATEWAY,
    name="rebuild",
    method="POST",
    path="/ledger/rebuild",
    summary="Derive every snapshot again from the events.",
    body=Nothing,
    query=Nothing,
    answer=Rebuilt,
    callers=OPERATORS,
    timeout_seconds=600.0,
)
PATROL_THEATER = Endpoint(
    service=Service.API_GATEWAY,
    name="patrol_theater",
    method="POST",
    path="/theaters/{theater_id}/patrol",
    summary="Run one observer patrol tick.",
    body=Nothing,
    query=Nothing,
    answer=TheaterPatrol,
    callers=OPERATORS,
    timeout_seconds=60.0,
)
PATROL = Endpoint(
    service=Service.API_GATEWAY,
    name="patrol",
    method="POST",
    path="/patrol",
    summary="Run one duty officer patrol tick.",
    body=Nothing,
    query=Nothing,
    answer=Patrol,
    callers=OPERATORS,
    timeout_seconds=120.0,
)
INTEGRATE = Endpoint(
    service=Service.API_GATEWAY,
    name="integrate",
    method="POST",
    path="/integrate",
    summary="Gate one order and promote it now.",
    body=IntegrationRequest,
    query=Nothing,
    answer=IntegrationAnswer,
    callers=OPERATORS,
    timeout_seconds=120.0,
)
CREATE_KEY = Endpoint(
    service=Service.API_GATEWAY,
    name="create_key",
    method="POST",
    path="/keys",
    summary="Make an API key; its secret is shown once.",
    body=KeyRequest,
    query=Nothing,
    answer=NewKey,
    callers=OPERATORS,
    idempotent=False,
)
LIST_KEYS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_keys",
    method="GET",
    path="/keys",
    summary="API keys, without secrets.",
    body=Nothing,
    query=Nothing,
    answer=ApiKeys,
    callers=OPERATORS,
)
REVOKE_KEY = Endpoint(
    service=Service.API_GATEWAY,
    name="revoke_key",
    method="DELETE",
    path="/keys/{key_id}",
    summary="Revoke an API key.",
    body=Nothing,
    query=Nothing,
    answer=ApiKey,
    callers=OPERATORS,
)
FLEET = Endpoint(
    service=Service.API_GATEWAY,
    name="fleet",
    method="GET",
    path="/fleet",
    summary="Readiness of every service.",
    body=Nothing,
    query=Nothing,
    answer=FleetStatus,
    callers=OPERATORS,
)
ENDPOINTS = (
    CHAT,
    LIST_RUNS,
    GET_RUN,
    FOLLOW_RUN,
    WHY_RUN,
    CANCEL_RUN,
    LIST_ORDERS,
    GET_ORDER,
    WHY_ORDER,
    GET_ARTIFACT,
    LIST_THEATERS,
    OPEN_THEATER,
    READ_LOG,
    LIST_EVENTS,
    GET_CHAIN,
    VERIFY_CHAIN,
    EXPORT,
    REBUILD,
    PATROL_THEATER,
    PATROL,
    INTEGRATE,
    CREATE_KEY,
    LIST_KEYS,
    REVOKE_KEY,
    FLEET,
)
