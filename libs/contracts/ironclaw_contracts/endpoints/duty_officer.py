"""The duty officer's endpoint (seed 3.8)."""

from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service


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
ENDPOINTS = (PATROL,)
