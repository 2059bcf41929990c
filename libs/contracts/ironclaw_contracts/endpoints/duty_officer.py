"""The duty officer's endpoints (seed 3.8)."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.endpoints.duty_officer_relay import (
    GET_RELAY,
    GET_RELAYED_INTENT,
    RELAY_HEARTBEAT,
    RELAY_INTENT,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Id


class Intervention(Struct, frozen=True):
    """What the duty officer did about one order."""

    order_id: str
    rule: str
    action: str
    detail: str


class Patrol(Struct, frozen=True):
    """One tick: figures, and the interventions it made."""

    figures: dict[str, int | float]
    interventions: list[Intervention]


class GradesQuery(Struct, frozen=True):
    """`run_id` grades the interventions in one run; `limit` takes the newest that many."""

    run_id: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class Judgement(Struct, frozen=True):
    """One intervention and what the attempt really came to."""

    order_id: str
    attempt: int
    rule: str
    verdict: Literal["right", "wrong", "open"]
    because: str
    at: datetime
    detected_after_seconds: float | None


class Grade(Struct, frozen=True):
    """How good a rule is. `precision` is right / (right + wrong); `recall` counts the faults that drills
    planted and that the rule met; each is None until there is something to judge."""

    rule: str
    interventions: int
    right: int
    wrong: int
    open: int
    precision: float | None
    planted: int
    missed: int
    recall: float | None
    detected_after_seconds_median: float | None
    detected_after_seconds_max: float | None


class Grades(Struct, frozen=True):
    """The rules' grades, and the judgements they rest on."""

    grades: list[Grade]
    judgements: list[Judgement]


PATROL = Endpoint(
    service=Service.DUTY_OFFICER,
    name="patrol",
    method="POST",
    path="/patrol",
    summary="Run one patrol tick over the whole fleet.",
    body=Nothing,
    query=Nothing,
    answer=Patrol,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=120.0,
)
RECOVER_ORDER = Endpoint(
    service=Service.DUTY_OFFICER,
    name="recover_order",
    method="POST",
    path="/orders/{order_id}/recover",
    summary="Recover one order now, without waiting for a pause or a breaker.",
    body=Nothing,
    query=Nothing,
    answer=Intervention,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=120.0,
)
GET_GRADES = Endpoint(
    service=Service.DUTY_OFFICER,
    name="get_grades",
    method="GET",
    path="/patrols/grades",
    summary="How often each rule of the patrol was right.",
    body=Nothing,
    query=GradesQuery,
    answer=Grades,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=30.0,
)
ENDPOINTS = (
    PATROL,
    RECOVER_ORDER,
    GET_GRADES,
    RELAY_HEARTBEAT,
    RELAY_INTENT,
    GET_RELAYED_INTENT,
    GET_RELAY,
)
