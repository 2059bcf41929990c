"""The ledger's endpoints (seed 3.3; DESIGN, Ledger)."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ironclaw_contracts.as_of import AsOf, AsOfQuery
from ironclaw_contracts.chain import Checkpoint, ExportedEvent, Verification
from ironclaw_contracts.endpoint import MIB, Endpoint, Nothing
from ironclaw_contracts.endpoints.ledger_proof import FIND_POINT, LIST_MAINLINES, READ_SLICE, REBUILD
from ironclaw_contracts.endpoints.ledger_spending import MARK_SENT, RESERVE, RUN_SPENDING, SETTLE
from ironclaw_contracts.enums import OrderPhase, OrderStatus, RunStatus, Service, Severity
from ironclaw_contracts.events import Event, EventType, NewEvent
from ironclaw_contracts.ids import Attempt, Id, Seconds, Seq
from ironclaw_contracts.snapshots import (
    Escalation,
    Lead,
    Lease,
    OrderSnapshot,
    OrderView,
    RunSnapshot,
    RunView,
)
from ironclaw_contracts.why import Why

Limit = Annotated[int, Meta(ge=1, le=1_000)]


class Appended(Struct, frozen=True):
    """Where an event stands; `duplicate` when it stood there before."""

    event_id: str
    seq: int
    ts: datetime
    hash: str
    duplicate: bool


class Batch(Struct, frozen=True):
    """Events to append all or none, in this order."""

    events: Annotated[list[NewEvent], Meta(min_length=1, max_length=1_000)]


class BatchQuery(Struct, frozen=True):
    """`snapshots` asks for the runs and orders that the events name, as the append left them."""

    snapshots: bool = False


class BatchAppended(Struct, frozen=True):
    """One answer an event, in order; `runs` and `orders` where snapshots were asked for."""

    events: list[Appended]
    runs: list[RunSnapshot] = []
    orders: list[OrderSnapshot] = []


class EventsQuery(Struct, frozen=True):
    """`after` is a cursor: the seq of the last event already seen. `types` is a comma-separated list.

    With `before` the events below that seq come newest first, down to `after`.
    """

    after: Seq = 0
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    limit: Limit = 100
    type: EventType | None = None
    types: Annotated[str, Meta(max_length=1_000)] | None = None
    run_id: Id | None = None
    order_id: Id | None = None
    theater_id: Id | None = None


class EventPage(Struct, frozen=True):
    """`next_after` is the cursor for the next page, None at the end; of a query with `before` the next one.

    `head_seq` is the ledger's head.
    """

    events: list[Event]
    next_after: int | None
    head_seq: int


class StreamQuery(Struct, frozen=True):
    """`after` is overridden by a `Last-Event-ID` header; -1 starts at the head."""

    after: Annotated[int, Meta(ge=-1, le=2**63 - 1)] = -1
    types: Annotated[str, Meta(max_length=1_000)] | None = None
    run_id: Id | None = None


class RunsQuery(Struct, frozen=True):
    """Newest first; `cursor` continues a listing."""

    status: RunStatus | None = None
    theater_id: Id | None = None
    cursor: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Limit = 50
    as_of: AsOf | None = None


class RunPage(Struct, frozen=True):
    runs: list[RunSnapshot]
    next_cursor: int | None


class RunQuery(Struct, frozen=True):
    """The state as of then; `at_seq` is the older name of a seq in `as_of`."""

    at_seq: Seq | None = None
    as_of: AsOf | None = None


class OrdersQuery(Struct, frozen=True):
    """Newest first; `phases` is a comma-separated list."""

    run_id: Id | None = None
    theater_id: Id | None = None
    status: OrderStatus | None = None
    phase: OrderPhase | None = None
    phases: Annotated[str, Meta(max_length=500)] | None = None
    cursor: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Limit = 50
    as_of: AsOf | None = None


class OrderPage(Struct, frozen=True):
    """`leases` holds those of the listed orders that are leased."""

    orders: list[OrderSnapshot]
    leases: list[Lease]
    next_cursor: int | None


class LeaseRenewal(Struct, frozen=True):
    """`progressed_at` is when the unit last got on with its work: a model answered, a file was written."""

    attempt: Attempt
    unit_id: Id
    lease_seconds: Seconds = 15
    progressed_at: Annotated[datetime, Meta(tz=True)] | None = None


class LeadClaim(Struct, frozen=True):
    """`holder` tells replicas of one service apart."""

    holder: Id
    seconds: Seconds = 15


class LeadQuery(Struct, frozen=True):
    holder: Id


class Released(Struct, frozen=True):
    """False when the holder did not have the lead any more."""

    released: bool


class EscalationsQuery(Struct, frozen=True):
    """Newest first; `cursor` continues a listing."""

    severity: Severity | None = None
    state: Literal["open", "acked"] | None = None
    cursor: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Limit = 50


class EscalationPage(Struct, frozen=True):
    escalations: list[Escalation]
    next_cursor: int | None


class Chain(Struct, frozen=True):
    """The head of the chain and the newest signed checkpoint."""

    head_seq: int
    head_hash: str
    checkpoint: Checkpoint | None
    public_key: str


APPEND_EVENT = Endpoint(
    service=Service.LEDGER,
    name="append_event",
    method="POST",
    path="/events",
    summary="Append one event.",
    body=NewEvent,
    query=Nothing,
    answer=Appended,
)
APPEND_BATCH = Endpoint(
    service=Service.LEDGER,
    name="append_batch",
    method="POST",
    path="/events/batch",
    summary="Append many events, all or none.",
    body=Batch,
    query=BatchQuery,
    answer=BatchAppended,
    body_bytes_max=16 * MIB,
)
LIST_EVENTS = Endpoint(
    service=Service.LEDGER,
    name="list_events",
    method="GET",
    path="/events",
    summary="Events after a cursor, oldest first; before one, newest first.",
    body=Nothing,
    query=EventsQuery,
    answer=EventPage,
)
STREAM_EVENTS = Endpoint(
    service=Service.LEDGER,
    name="stream_events",
    method="GET",
    path="/events/stream",
    summary="Events as they are committed; Last-Event-ID resumes.",
    body=Nothing,
    query=StreamQuery,
    answer=Event,
    form="events",
)
LIST_RUNS = Endpoint(
    service=Service.LEDGER,
    name="list_runs",
    method="GET",
    path="/runs",
    summary="Runs, newest first.",
    body=Nothing,
    query=RunsQuery,
    answer=RunPage,
)
GET_RUN = Endpoint(
    service=Service.LEDGER,
    name="get_run",
    method="GET",
    path="/runs/{run_id}",
    summary="A run with its orders, now or as of then.",
    body=Nothing,
    query=RunQuery,
    answer=RunView,
)
WHY_RUN = Endpoint(
    service=Service.LEDGER,
    name="why_run",
    method="GET",
    path="/runs/{run_id}/why",
    summary="What the run waits for, who moves next, and by when.",
    body=Nothing,
    query=AsOfQuery,
    answer=Why,
)
LIST_ORDERS = Endpoint(
    service=Service.LEDGER,
    name="list_orders",
    method="GET",
    path="/orders",
    summary="Orders, newest first.",
    body=Nothing,
    query=OrdersQuery,
    answer=OrderPage,
)
GET_ORDER = Endpoint(
    service=Service.LEDGER,
    name="get_order",
    method="GET",
    path="/orders/{order_id}",
    summary="An order with its lease.",
    body=Nothing,
    query=AsOfQuery,
    answer=OrderView,
)
WHY_ORDER = Endpoint(
    service=Service.LEDGER,
    name="why_order",
    method="GET",
    path="/orders/{order_id}/why",
    summary="What the order waits for, who moves next, and by when.",
    body=Nothing,
    query=AsOfQuery,
    answer=Why,
)
RENEW_LEASE = Endpoint(
    service=Service.LEDGER,
    name="renew_lease",
    method="PUT",
    path="/orders/{order_id}/lease",
    summary="Renew the lease of the current attempt.",
    body=LeaseRenewal,
    query=Nothing,
    answer=Lease,
    callers=frozenset({Service.WORKER}),
    timeout_seconds=5.0,
)
TAKE_LEAD = Endpoint(
    service=Service.LEDGER,
    name="take_lead",
    method="PUT",
    path="/leads/{lead_id}",
    summary="Take or keep the lead of something that only one at a time may do.",
    body=LeadClaim,
    query=Nothing,
    answer=Lead,
    callers=frozenset({Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=5.0,
)
RELEASE_LEAD = Endpoint(
    service=Service.LEDGER,
    name="release_lead",
    method="DELETE",
    path="/leads/{lead_id}",
    summary="Give the lead up before it runs out.",
    body=Nothing,
    query=LeadQuery,
    answer=Released,
    callers=frozenset({Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=5.0,
)
LIST_ESCALATIONS = Endpoint(
    service=Service.LEDGER,
    name="list_escalations",
    method="GET",
    path="/escalations",
    summary="Escalations, newest first.",
    body=Nothing,
    query=EscalationsQuery,
    answer=EscalationPage,
)
GET_CHAIN = Endpoint(
    service=Service.LEDGER,
    name="get_chain",
    method="GET",
    path="/chain",
    summary="Head of the hash chain.",
    body=Nothing,
    query=Nothing,
    answer=Chain,
)
VERIFY_CHAIN = Endpoint(
    service=Service.LEDGER,
    name="verify_chain",
    method="POST",
    path="/chain/verify",
    summary="Recompute the whole chain from the stored bytes.",
    body=Nothing,
    query=Nothing,
    answer=Verification,
    timeout_seconds=600.0,
)
EXPORT = Endpoint(
    service=Service.LEDGER,
    name="export",
    method="GET",
    path="/export",
    summary="The whole ledger as JSON lines, sealed with a signed checkpoint of its head.",
    body=Nothing,
    query=Nothing,
    answer=ExportedEvent,
    form="lines",
    timeout_seconds=600.0,
)
ENDPOINTS = (
    APPEND_EVENT,
    APPEND_BATCH,
    LIST_EVENTS,
    STREAM_EVENTS,
    LIST_RUNS,
    GET_RUN,
    WHY_RUN,
    READ_SLICE,
    FIND_POINT,
    LIST_MAINLINES,
    LIST_ORDERS,
    GET_ORDER,
    WHY_ORDER,
    RENEW_LEASE,
    TAKE_LEAD,
    RELEASE_LEAD,
    LIST_ESCALATIONS,
    RESERVE,
    MARK_SENT,
    SETTLE,
    RUN_SPENDING,
    GET_CHAIN,
    VERIFY_CHAIN,
    EXPORT,
    REBUILD,
)
