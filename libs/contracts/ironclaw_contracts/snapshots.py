"""Snapshots of runs and orders: derived from events alone, in the transaction that appends them."""

from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field

from ironclaw_contracts.artifacts import Artifact, Constraints, ModelUse, Order
from ironclaw_contracts.enums import Cause, OrderPhase, OrderStatus, RunStatus, Severity, WorktreeState
from ironclaw_contracts.payloads import IntentLink
from ironclaw_contracts.plan import Budget, OnOrderFailure, Plan
from ironclaw_contracts.policy import Routing
from ironclaw_contracts.spending import SpendingKey


class Worktree(Struct, frozen=True):
    """The worktree of the current attempt."""

    attempt: int
    state: WorktreeState
    path: str
    branch: str
    base_commit: str
    contains: list[str]
    archive: str | None = None


class AttemptEnd(Struct, frozen=True):
    """How one attempt ended without being integrated, and by which event."""

    attempt: int
    outcome: str
    reason: str
    cause: Cause
    event_id: str
    ts: datetime
    conflicts: list[str] = field(default_factory=list[str])


class Report(Struct, frozen=True):
    """What the unit reported: the ledger's digest of aar.json."""

    path: str
    sha256: str
    status: str
    summary: str
    model: ModelUse | None = None
    next_recommendations: list[str] = field(default_factory=list[str])


class OrderSnapshot(Struct, frozen=True, kw_only=True):
    """The state of one order. `phase_since` and `phase_event_id` say since when and by which event.

    `traceparent` is the trace that it was made in; whatever is done about the order continues it.
    """

    order_id: str
    run_id: str
    theater_id: str
    garrison_id: str
    title: str
    order: Order
    depends_on: list[str]
    replaces: str | None
    phase: OrderPhase
    status: OrderStatus
    attempt: int
    unit_id: str | None
    worktree: Worktree | None
    commit_sha: str | None
    artifacts: list[Artifact]
    report: Report | None
    merge_commit: str | None
    hold: str | None
    recovery: str | None
    history: list[AttemptEnd]
    created_at: datetime
    updated_at: datetime
    phase_since: datetime
    phase_event_id: str
    first_seq: int
    last_seq: int
    routing: Routing | None = None
    traceparent: str | None = None


class RunSnapshot(Struct, frozen=True, kw_only=True):
    """The state of one run. `orders_open` counts orders that are not terminal; `traceparent` is its trace."""

    run_id: str
    theater_id: str
    garrison_id: str
    user_id: str
    objective: str
    playbook: str | None
    inputs: dict[str, Any]
    constraints: Constraints
    budget: Budget
    status: RunStatus
    plan: Plan | None
    cancel_requested: str | None
    reply: str | None
    artifacts: list[Artifact]
    reason: str | None
    orders_total: int
    orders_open: int
    orders_integrated: int
    created_at: datetime
    updated_at: datetime
    status_event_id: str
    first_seq: int
    last_seq: int
    on_order_failure: OnOrderFailure = "fail"
    intent: IntentLink | None = None
    charged_to: SpendingKey | None = None
    profile: str | None = None
    replays: str | None = None
    policy_version: int = 0
    traceparent: str | None = None


class Lease(Struct, frozen=True):
    """Who holds an order's current attempt, and until when (table of the ledger, not events)."""

    order_id: str
    attempt: int
    unit_id: str
    expires_at: datetime
    progressed_at: datetime | None = None
    """When the unit last got on with its work, as it says itself."""
    lease_seconds: int | None = None


def is_plausible(lease: Lease, now: datetime) -> bool:
    """Tell whether a lease can end when it says: further ahead than twice its length, a clock went back."""
    if lease.lease_seconds is None:
        return True
    return lease.expires_at <= now + timedelta(seconds=2 * lease.lease_seconds)


PATROL_LEAD = "patrol"
"""The lead of the patrol: its holder recovers orders, all others watch."""


class Lead(Struct, frozen=True):
    """Who does what only one at a time may do (table of the ledger, not events)."""

    lead_id: str
    service: str
    holder: str
    expires_at: datetime


class Escalation(Struct, frozen=True, kw_only=True):
    """Something that a person should know, and whether one does."""

    escalation_id: str
    severity: Severity
    state: Literal["open", "acked"]
    route: str
    subject: str
    reason: str
    evidence: dict[str, Any]
    source: str
    theater_id: str | None
    run_id: str | None
    order_id: str | None
    raised_at: datetime
    seq: int
    acked_at: datetime | None = None
    acked_by: str | None = None
    note: str = ""


class RunView(Struct, frozen=True):
    """A run with its orders."""

    run: RunSnapshot
    orders: list[OrderSnapshot]


class OrderView(Struct, frozen=True):
    """An order with the lease on it, if any."""

    order: OrderSnapshot
    lease: Lease | None
