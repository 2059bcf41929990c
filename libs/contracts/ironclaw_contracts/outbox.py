"""Records on their way to openclawdbot, and where each stands."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

Channel = Literal["milestones", "demand"]
OutgoingStatus = Literal["pending", "delivered", "duplicate", "rejected", "retrying", "dead-letter"]


class Outgoing(Struct, frozen=True, kw_only=True):
    """One record of the outbox. `record` is the event or snapshot as JSON, `at` its own time."""

    idempotency_key: str
    channel: Channel
    at: datetime
    record: str
    status: OutgoingStatus = "pending"
    tries: int = 0
    due_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    reason: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
