"""Acknowledge escalations: who has seen one, and what was done about it."""

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.co import Acknowledged, Acknowledgement
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import EscalationAcked


class Acknowledging:
    """Records acknowledgements; one is enough."""

    def __init__(self, ledger: LedgerClient, garrison_id: str) -> None:
        self._ledger = ledger
        self._garrison_id = garrison_id

    async def acknowledge(self, escalation_id: str, ack: Acknowledgement) -> Acknowledged:
        """Record who has seen it. Raises `NotFound`, or `Conflict` when somebody else has."""
        payload = EscalationAcked(escalation_id=escalation_id, acked_by=ack.acked_by, note=ack.note)
        event = new_event(
            EventType.ESCALATION_ACKED,
            payload,
            garrison_id=self._garrison_id,
            event_id=derived_event_id("ack", escalation_id, ack.acked_by, ack.note),
        )
        await self._ledger.append(event)
        return Acknowledged(escalation_id=escalation_id, acked_by=ack.acked_by, note=ack.note)
