"""Learn how runs ended, and move the reputation of the planners that announced them."""

from typing import Literal

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.events import Event, EventType
from ironclaw_openclawdbot.proof.store import ProofStore
from ironclaw_openclawdbot.proof.validator import Validator

_ENDED = (EventType.RUN_COMPLETED, EventType.RUN_FAILED)
_CURSOR = "outcomes"


class Outcomes:
    """Follows the ledger from where the last process stopped; the first begins at the head."""

    def __init__(self, ledger: LedgerClient, store: ProofStore, validator: Validator) -> None:
        self._ledger = ledger
        self._store = store
        self._validator = validator

    async def follow(self) -> None:
        """Learn of every run's end."""
        after = await self._store.cursor(_CURSOR)
        if after is None:
            after = await self._ledger.head()
            await self._store.move_cursor(_CURSOR, after)
        async for event in self._ledger.follow(_ENDED, after=after):
            await self._learn(event)
            await self._store.move_cursor(_CURSOR, event.seq)

    async def _learn(self, event: Event) -> None:
        if event.run_id is None:
            return
        outcome = await self._outcome(event.type, event.run_id)
        if outcome is not None:
            await self._validator.run_ended(event.run_id, outcome, event.event_id)

    async def _outcome(self, kind: EventType, run_id: str) -> Literal["completed", "failed"] | None:
        """A completed run counts only when work of it was merged."""
        if kind is EventType.RUN_FAILED:
            return "failed"
        run = (await self._ledger.run(run_id)).run
        return "completed" if run.orders_integrated else None
