"""The observer's endpoint (seed 3.6)."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from ironclaw_contracts.artifacts import Aar
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service

LATE_RESULT = "late_result"
"""The check that finds finished work of an attempt that was given up; the patrol adopts it."""


class Finding(Struct, frozen=True):
    """Something a check found, and the event it led to, if any; `new` when this patrol appended it."""

    check: str
    order_id: str | None
    detail: str
    event: str | None
    evidence: dict[str, Any]
    new: bool = False


class TheaterPatrol(Struct, frozen=True):
    """One tick: how many subjects each check looked at, and what was found."""

    theater_id: str
    checked: dict[str, int]
    findings: list[Finding]

    @property
    def new(self) -> list[Finding]:
        """What no patrol before has told the ledger."""
        return [finding for finding in self.findings if finding.new]


class LateResult(Struct, frozen=True):
    """Finished work on the branch of an attempt that was given up: it passed the observer's checks."""

    attempt: int
    commit_sha: str
    path: str
    branch: str
    base_commit: str
    aar_sha256: str
    report: Aar


class Inspection(Struct, frozen=True):
    """The signs of life of an order's attempt, and what its attempts have finished without a word.

    `moved_at` is the last change of the worktree or its branch; None where there is no worktree.
    """

    order_id: str
    attempt: int
    moved_at: datetime | None
    late_results: list[LateResult]


PATROL_THEATER = Endpoint(
    service=Service.OBSERVER,
    name="patrol_theater",
    method="POST",
    path="/theaters/{theater_id}/patrol",
    summary="Run one patrol tick over a theater.",
    body=Nothing,
    query=Nothing,
    answer=TheaterPatrol,
    callers=frozenset({Service.API_GATEWAY, Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=60.0,
)
INSPECT_ORDER = Endpoint(
    service=Service.OBSERVER,
    name="inspect_order",
    method="POST",
    path="/orders/{order_id}/inspect",
    summary="Look for signs of life and for finished work of an order's attempts.",
    body=Nothing,
    query=Nothing,
    answer=Inspection,
    callers=frozenset({Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=30.0,
)
ENDPOINTS = (PATROL_THEATER, INSPECT_ORDER)
