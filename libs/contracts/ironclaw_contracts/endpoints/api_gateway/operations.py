"""What operators do: theaters, patrols, escalations, salvage, the whole ledger, keys."""

from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.access import ApiKey, ApiKeys, KeyRequest, NewKey
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.chain import ExportedEvent, Verification
from ironclaw_contracts.endpoint import OPERATORS, Endpoint, Nothing
from ironclaw_contracts.endpoints.co import Acknowledged, HandMade, OutboxPage, OutboxQuery, Redelivery
from ironclaw_contracts.endpoints.duty_officer import Grades, GradesQuery, Intervention, Patrol
from ironclaw_contracts.endpoints.ledger import (
    EscalationPage,
    EscalationsQuery,
    EventPage,
    EventsQuery,
)
from ironclaw_contracts.endpoints.ledger_proof import Rebuilt
from ironclaw_contracts.endpoints.observer import TheaterPatrol
from ironclaw_contracts.endpoints.sentinel import Audit
from ironclaw_contracts.endpoints.vault import (
    Restoration,
    Restored,
    SalvageDetail,
    SalvageList,
    SalvageQuery,
    Theater,
    TheaterRequest,
)
from ironclaw_contracts.enums import Service


class AckRequest(Struct, frozen=True):
    """Who acknowledges is who holds the key."""

    note: Annotated[str, Meta(max_length=2_000)] = ""


class ServiceStatus(Struct, frozen=True):
    service: str
    ready: bool
    detail: str


class FleetStatus(Struct, frozen=True):
    """Readiness of every service, as the gateway sees it now."""

    services: list[ServiceStatus]


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
LIST_EVENTS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_events",
    method="GET",
    path="/events",
    summary="Events after a cursor, oldest first; before one, newest first.",
    body=Nothing,
    query=EventsQuery,
    answer=EventPage,
    callers=OPERATORS,
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
AUDIT = Endpoint(
    service=Service.API_GATEWAY,
    name="audit",
    method="POST",
    path="/audit",
    summary="Have the sentinel audit the duty officer now.",
    body=Nothing,
    query=Nothing,
    answer=Audit,
    callers=OPERATORS,
    timeout_seconds=60.0,
)
GET_GRADES = Endpoint(
    service=Service.API_GATEWAY,
    name="get_grades",
    method="GET",
    path="/patrols/grades",
    summary="How often each rule of the patrol was right.",
    body=Nothing,
    query=GradesQuery,
    answer=Grades,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
RECOVER_ORDER = Endpoint(
    service=Service.API_GATEWAY,
    name="recover_order",
    method="POST",
    path="/orders/{order_id}/recover",
    summary="Recover one order now, without waiting for a pause or a breaker.",
    body=Nothing,
    query=Nothing,
    answer=Intervention,
    callers=OPERATORS,
    timeout_seconds=120.0,
)
LIST_ESCALATIONS = Endpoint(
    service=Service.API_GATEWAY,
    name="list_escalations",
    method="GET",
    path="/escalations",
    summary="What a person should know, newest first.",
    body=Nothing,
    query=EscalationsQuery,
    answer=EscalationPage,
    callers=OPERATORS,
)
ACK_ESCALATION = Endpoint(
    service=Service.API_GATEWAY,
    name="ack_escalation",
    method="POST",
    path="/escalations/{escalation_id}/ack",
    summary="Say that an escalation was seen, and what was done.",
    body=AckRequest,
    query=Nothing,
    answer=Acknowledged,
    callers=OPERATORS,
)
LIST_SALVAGE = Endpoint(
    service=Service.API_GATEWAY,
    name="list_salvage",
    method="GET",
    path="/theaters/{theater_id}/salvage",
    summary="Work kept from attempts that were not merged, now or as of then.",
    body=Nothing,
    query=AsOfQuery,
    answer=SalvageList,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
SHOW_SALVAGE = Endpoint(
    service=Service.API_GATEWAY,
    name="show_salvage",
    method="GET",
    path="/orders/{order_id}/salvage",
    summary="What an attempt's kept work changes, now or as of then.",
    body=Nothing,
    query=SalvageQuery,
    answer=SalvageDetail,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
RESTORE_SALVAGE = Endpoint(
    service=Service.API_GATEWAY,
    name="restore_salvage",
    method="POST",
    path="/orders/{order_id}/salvage/restore",
    summary="Put an attempt's kept work on a branch.",
    body=Restoration,
    query=Nothing,
    answer=Restored,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
LIST_MILESTONES = Endpoint(
    service=Service.API_GATEWAY,
    name="list_milestones",
    method="GET",
    path="/milestones",
    summary="Milestones and demand summaries on their way, newest first.",
    body=Nothing,
    query=OutboxQuery,
    answer=OutboxPage,
    callers=OPERATORS,
)
REDELIVER_MILESTONES = Endpoint(
    service=Service.API_GATEWAY,
    name="redeliver_milestones",
    method="POST",
    path="/milestones/redeliver",
    summary="Deliver dead letters again.",
    body=Redelivery,
    query=Nothing,
    answer=OutboxPage,
    callers=OPERATORS,
)
EMIT_MILESTONE = Endpoint(
    service=Service.API_GATEWAY,
    name="emit_milestone",
    method="POST",
    path="/milestones",
    summary="Publish a milestone by hand.",
    body=HandMade,
    query=Nothing,
    answer=OutboxPage,
    callers=OPERATORS,
    idempotent=False,
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
    OPEN_THEATER,
    LIST_EVENTS,
    VERIFY_CHAIN,
    EXPORT,
    REBUILD,
    PATROL_THEATER,
    PATROL,
    AUDIT,
    GET_GRADES,
    RECOVER_ORDER,
    LIST_ESCALATIONS,
    ACK_ESCALATION,
    LIST_SALVAGE,
    SHOW_SALVAGE,
    RESTORE_SALVAGE,
    LIST_MILESTONES,
    REDELIVER_MILESTONES,
    EMIT_MILESTONE,
    CREATE_KEY,
    LIST_KEYS,
    REVOKE_KEY,
    FLEET,
)
