"""The OpenClaw validator's endpoints (contract: proof-of-intent and heartbeats)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ironclaw_contracts.artifacts import Line
from ironclaw_contracts.endpoint import ANYONE, KIB, Done, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.messages import NodeRole
from ironclaw_contracts.poi.receipts import Receipt

NodeId = Annotated[
    str, Meta(pattern=r"\A[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z", description="A UUID.")
]
KeyVersion = Annotated[str, Meta(pattern=r"\Av[1-9][0-9]{0,5}\Z", description="v1, v2 and on.")]


class Registration(Struct, frozen=True, kw_only=True):
    """A node, or one more key of a registered one."""

    node_id: NodeId
    role: NodeRole
    public_key_ref: Annotated[str, Meta(max_length=120)]
    key_version: KeyVersion = "v1"
    label: Annotated[str, Meta(max_length=200)] = ""


class Retirement(Struct, frozen=True):
    key_version: KeyVersion


class NodeView(Struct, frozen=True, kw_only=True):
    """A node now. `status` is `unknown` once three heartbeats are missing."""

    node_id: str
    role: str
    label: str
    reputation: float
    status: str
    seq_no: int | None
    heard_at: datetime | None


class Nodes(Struct, frozen=True):
    nodes: list[NodeView]


class ReputationChange(Struct, frozen=True):
    """One move of a node's reputation; `cause` is the announcement or the event it was for."""

    at: datetime
    outcome: str
    before: float
    after: float
    cause: str


class ReputationView(Struct, frozen=True):
    """How a node's reputation moved, newest first."""

    changes: list[ReputationChange]


class AuditedMessage(Struct, frozen=True):
    """A message as it came, and what it was answered."""

    kind: str
    node_id: str
    intent_id: str | None
    at: datetime
    message: dict[str, Any]
    receipt: Receipt


class Audited(Struct, frozen=True):
    messages: list[AuditedMessage]


class IntentView(Struct, frozen=True):
    """All that was said of one intent, oldest first."""

    intent_id: str
    messages: list[AuditedMessage]


class IntentQuery(Struct, frozen=True):
    """Which intent an MCP client asks for."""

    intent_id: NodeId


class KeyView(Struct, frozen=True):
    node_id: str
    version: str
    public_key_ref: str
    retired_at: datetime | None


class AuditQuery(Struct, frozen=True):
    """`after` is the ack id of the last message seen."""

    after: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class AuditPage(Struct, frozen=True):
    """Stored messages, oldest first, with every node's keys to check them by."""

    messages: list[AuditedMessage]
    keys: list[KeyView]
    next_after: str | None


class ValidatorView(Struct, frozen=True):
    """Who signs the ACKs."""

    validator_id: str
    public_key_ref: str


class ReviewDecision(Struct, frozen=True):
    decision: Literal["accepted", "rejected"]
    by: Line = "operator"


def _foreign(name: str, path: str, summary: str) -> Endpoint[Any, Any, Any]:
    return Endpoint(
        service=Service.OPENCLAWDBOT,
        name=name,
        method="POST",
        path=path,
        summary=summary,
        body=Nothing,
        query=Nothing,
        answer=bytes,
        callers=ANYONE,
        form="foreign",
        body_bytes_max=256 * KIB,
    )


ANNOUNCE = _foreign("announce", "/openclaw/poi/announce", "Announce a signed intent.")
HEARTBEAT = _foreign("heartbeat", "/openclaw/availability/heartbeat", "Take a signed heartbeat.")
GET_VALIDATOR = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="get_validator",
    method="GET",
    path="/openclaw/validator",
    summary="Who signs the ACKs.",
    body=Nothing,
    query=Nothing,
    answer=ValidatorView,
    callers=ANYONE,
)
LIST_NODES = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="list_nodes",
    method="GET",
    path="/openclaw/nodes",
    summary="Every node with its status now.",
    body=Nothing,
    query=Nothing,
    answer=Nodes,
)
STREAM_NODES = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="stream_nodes",
    method="GET",
    path="/openclaw/nodes/stream",
    summary="Every node as it is, then each that changes.",
    body=Nothing,
    query=Nothing,
    answer=Nothing,
    form="events",
)
GET_REPUTATION = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="get_reputation",
    method="GET",
    path="/openclaw/nodes/{node_id}/reputation",
    summary="How a node's reputation moved.",
    body=Nothing,
    query=Nothing,
    answer=ReputationView,
)
GET_INTENT = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="get_intent",
    method="GET",
    path="/openclaw/intents/{intent_id}",
    summary="All that was said of one intent.",
    body=Nothing,
    query=Nothing,
    answer=IntentView,
)
LIST_CAMPAIGN = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="list_campaign",
    method="GET",
    path="/openclaw/campaigns/{campaign_id}",
    summary="Every intent that was announced for a campaign: a run is one, under its id.",
    body=Nothing,
    query=Nothing,
    answer=Audited,
)
REGISTER_NODE = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="register_node",
    method="POST",
    path="/openclaw/nodes",
    summary="Register a node, or one more key of it.",
    body=Registration,
    query=Nothing,
    answer=Done,
    callers=frozenset({Service.API_GATEWAY}),
)
RETIRE_KEY = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="retire_key",
    method="POST",
    path="/openclaw/nodes/{node_id}/retire",
    summary="Retire a node's key from now on.",
    body=Retirement,
    query=Nothing,
    answer=Done,
    callers=frozenset({Service.API_GATEWAY}),
)
LIST_REVIEWS = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="list_reviews",
    method="GET",
    path="/openclaw/reviews",
    summary="What waits for a person.",
    body=Nothing,
    query=Nothing,
    answer=Audited,
)
DECIDE_REVIEW = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="decide_review",
    method="POST",
    path="/openclaw/reviews/{ack_id}",
    summary="Accept or reject what waits; the ACK is issued anew.",
    body=ReviewDecision,
    query=Nothing,
    answer=Receipt,
    callers=frozenset({Service.API_GATEWAY}),
)
READ_AUDIT = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="read_audit",
    method="GET",
    path="/openclaw/audit",
    summary="Stored messages with their signatures, for checking them again.",
    body=Nothing,
    query=AuditQuery,
    answer=AuditPage,
)
ENDPOINTS = (
    ANNOUNCE,
    HEARTBEAT,
    GET_VALIDATOR,
    LIST_NODES,
    STREAM_NODES,
    GET_REPUTATION,
    GET_INTENT,
    LIST_CAMPAIGN,
    REGISTER_NODE,
    RETIRE_KEY,
    LIST_REVIEWS,
    DECIDE_REVIEW,
    READ_AUDIT,
)
