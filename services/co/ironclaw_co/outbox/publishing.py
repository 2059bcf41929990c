"""Milestones that an operator publishes by hand, and records that are delivered again."""

from datetime import UTC, datetime

import msgspec

from ironclaw_co.outbox.emitting import Emitting
from ironclaw_co.store import Outbox
from ironclaw_contracts.endpoints import co as api
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.milestones import Milestone
from ironclaw_contracts.outbox import Outgoing


class Publishing:
    """What operators do with the outbox."""

    def __init__(self, outbox: Outbox, emitting: Emitting) -> None:
        self._outbox = outbox
        self._emitting = emitting

    async def listed(self, query: api.OutboxQuery) -> api.OutboxPage:
        """Return records, newest first."""
        return api.OutboxPage(records=await self._outbox.listed(query.status, query.limit))

    async def redeliver(self, request: api.Redelivery) -> api.OutboxPage:
        """Deliver dead letters again. Raises `NotFound` when the one that is named is none."""
        records = await self._outbox.revive(request.idempotency_key)
        if request.idempotency_key is not None and not records:
            raise NotFound(f"there is no dead letter {request.idempotency_key!r}")
        self._emitting.wake()
        return api.OutboxPage(records=records)

    async def emit(self, request: api.HandMade) -> api.OutboxPage:
        """Publish a milestone by hand."""
        now = datetime.now(UTC)
        key = f"ironclaw.operator.{request.milestone_id or new_id()}"
        milestone = Milestone(
            milestone_id=request.milestone_id or key,
            timestamp_utc=format_instant(now),
            scope=request.scope.strip(),
            claim=request.claim.strip(),
            evidence=request.evidence,
            risk_status=request.risk_status,
            next_action=request.next_action.strip(),
            source="operator",
        )
        record = Outgoing(
            idempotency_key=key,
            channel="milestones",
            at=now,
            record=msgspec.json.encode(milestone).decode(),
        )
        await self._outbox.put([record])
        self._emitting.wake()
        return api.OutboxPage(records=[record])
