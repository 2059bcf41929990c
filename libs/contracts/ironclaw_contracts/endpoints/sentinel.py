"""The sentinel's endpoint (seed 3.9)."""

from datetime import datetime

from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service, Severity


class Concern(Struct, frozen=True):
    """Something that an audit found; `new` when this audit raised the escalation."""

    check: str
    severity: Severity
    reason: str
    escalation_id: str
    new: bool


class Audit(Struct, frozen=True):
    """What the patrol's record shows.

    `backlog_per_minute` is the slope of the open orders over the last ticks (least squares), None with fewer
    than three; `failover` when the sentinel runs the patrol itself.
    """

    last_tick_at: datetime | None
    last_tick_by: str | None
    tick_age_seconds: float | None
    backlog: float | None
    backlog_per_minute: float | None
    unfinished_recoveries: int
    reissue_loops: list[str]
    failover: bool
    concerns: list[Concern]


AUDIT = Endpoint(
    service=Service.SENTINEL,
    name="audit",
    method="POST",
    path="/audit",
    summary="Audit the duty officer now.",
    body=Nothing,
    query=Nothing,
    answer=Audit,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=60.0,
)
ENDPOINTS = (AUDIT,)
