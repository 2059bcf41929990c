"""The observer's endpoint (seed 3.6)."""

from typing import Any

from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service


class Finding(Struct, frozen=True):
    """Something a check found, and the event it led to, if any."""

    check: str
    order_id: str | None
    detail: str
    event: str | None
    evidence: dict[str, Any]


class TheaterPatrol(Struct, frozen=True):
    """One tick: how many subjects each check looked at, and what was found."""

    theater_id: str
    checked: dict[str, int]
    findings: list[Finding]


PATROL_THEATER = Endpoint(
    service=Service.OBSERVER,
    name="patrol_theater",
    method="POST",
    path="/theaters/{theater_id}/patrol",
    summary="Run one patrol tick over a theater.",
    body=Nothing,
    query=Nothing,
    answer=TheaterPatrol,
    callers=frozenset({Service.API_GATEWAY, Service.DUTY_OFFICER}),
    timeout_seconds=60.0,
)
ENDPOINTS = (PATROL_THEATER,)
