"""Raise escalations: once for each subject and episode, on the route that the severity asks for."""

from datetime import datetime
from typing import Any

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.enums import Severity
from ironclaw_contracts.errors import EventConflict
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import EscalationRaised

WEBHOOK, LOG = "webhook", "log"


def route_of(severity: Severity) -> str:
    """Return where an escalation goes: what cannot wait goes out by webhook, all of them into the log."""
    return WEBHOOK if severity in {Severity.HIGH, Severity.CRITICAL} else LOG


class Escalations:
    """Says what a person should know."""

    def __init__(self, ledger: LedgerClient, garrison_id: str) -> None:
        self._ledger = ledger
        self._garrison_id = garrison_id

    async def raise_once(
        self,
        severity: Severity,
        subject: str,
        reason: str,
        *,
        episode: str | int | datetime,
        evidence: dict[str, Any] | None = None,
        theater_id: str | None = None,
        run_id: str | None = None,
        order_id: str | None = None,
    ) -> tuple[str, bool]:
        """Raise an escalation unless this episode of the subject has one.

        Returns the escalation's id and whether it is new.
        """
        mark = episode.isoformat() if isinstance(episode, datetime) else episode
        event_id = derived_event_id("escalation", subject, mark)
        payload = EscalationRaised(
            severity=severity,
            subject=subject[:200],
            route=route_of(severity),
            reason=reason[:2000],
            evidence=evidence or {},
        )
        event = new_event(
            EventType.ESCALATION_RAISED,
            payload,
            theater_id=theater_id,
            run_id=run_id,
            order_id=order_id,
            event_id=event_id,
            garrison_id=self._garrison_id,
        )
        try:
            appended = await self._ledger.append(event)
        except EventConflict:
            return event_id, False
        return event_id, not appended.duplicate
