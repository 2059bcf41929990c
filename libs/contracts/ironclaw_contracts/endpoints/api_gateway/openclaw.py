"""The OpenClaw validator as operators see it: nodes, intents, reviews, keys, the audit."""

from ironclaw_contracts.endpoint import OPERATORS, Done, Endpoint, Nothing
from ironclaw_contracts.endpoints.openclawdbot_proof import (
    Audited,
    AuditPage,
    AuditQuery,
    IntentView,
    Nodes,
    Registration,
    ReputationView,
    Retirement,
    ReviewDecision,
    ValidatorView,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.receipts import Receipt

LIST_NODES = Endpoint(
    service=Service.API_GATEWAY,
    name="list_nodes",
    method="GET",
    path="/openclaw/nodes",
    summary="Every node with its status now.",
    body=Nothing,
    query=Nothing,
    answer=Nodes,
    callers=OPERATORS,
)
FOLLOW_NODES = Endpoint(
    service=Service.API_GATEWAY,
    name="follow_nodes",
    method="GET",
    path="/openclaw/nodes/stream",
    summary="Every node as it is, then each that changes.",
    body=Nothing,
    query=Nothing,
    answer=Nothing,
    callers=OPERATORS,
    form="events",
)
GET_REPUTATION = Endpoint(
    service=Service.API_GATEWAY,
    name="get_reputation",
    method="GET",
    path="/openclaw/nodes/{node_id}/reputation",
    summary="How a node's reputation moved.",
    body=Nothing,
    query=Nothing,
    answer=ReputationView,
    callers=OPERATORS,
)
REGISTER_NODE = Endpoint(
    service=Service.API_GATEWAY,
    name="register_node",
    method="POST",
    path="/openclaw/nodes",
    summary="Register a node, or one more key of it.",
    body=Registration,
    query=Nothing,
    answer=Done,
    callers=OPERATORS,
)
RETIRE_KEY = Endpoint(
    service=Service.API_GATEWAY,
    name="retire_key",
    method="POST",
    path="/openclaw/nodes/{node_id}/retire",
    summary="Retire a node's key from now on.",
    body=Retirement,
    query=Nothing,
    answer=Done,
    callers=OPERATORS,
)
GET_INTENT = Endpoint(
    service=Service.API_GATEWAY,
    name="get_intent",
    method="GET",
    path="/openclaw/intents/{intent_id}",
    summary="All that was said of one intent.",
    body=Nothing,
    query=Nothing,
    answer=IntentView,
    callers=OPERATORS,
)
LIST_REVIEWS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_reviews",
    method="GET",
    path="/openclaw/reviews",
    summary="What waits for a person.",
    body=Nothing,
    query=Nothing,
    answer=Audited,
    callers=OPERATORS,
)
DECIDE_REVIEW = Endpoint(
    service=Service.API_GATEWAY,
    name="decide_review",
    method="POST",
    path="/openclaw/reviews/{ack_id}",
    summary="Accept or reject what waits; the ACK is issued anew.",
    body=ReviewDecision,
    query=Nothing,
    answer=Receipt,
    callers=OPERATORS,
)
GET_VALIDATOR = Endpoint(
    service=Service.API_GATEWAY,
    name="get_validator",
    method="GET",
    path="/openclaw/validator",
    summary="Who signs the ACKs.",
    body=Nothing,
    query=Nothing,
    answer=ValidatorView,
    callers=OPERATORS,
)
READ_AUDIT = Endpoint(
    service=Service.API_GATEWAY,
    name="read_audit",
    method="GET",
    path="/openclaw/audit",
    summary="Stored messages with their signatures, for checking them again.",
    body=Nothing,
    query=AuditQuery,
    answer=AuditPage,
    callers=OPERATORS,
)
ENDPOINTS = (
    LIST_NODES,
    FOLLOW_NODES,
    GET_REPUTATION,
    REGISTER_NODE,
    RETIRE_KEY,
    GET_INTENT,
    LIST_REVIEWS,
    DECIDE_REVIEW,
    GET_VALIDATOR,
    READ_AUDIT,
)
