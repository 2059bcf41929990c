"""Gather what grading the patrol needs from the ledger."""

from collections import deque

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.drills import DRILL_THEATER
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints.duty_officer import Grades, GradesQuery, Judgement
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_patrol.grades import grade, judge

_DRILLED_MAX = 500


class Grading:
    """Grades the interventions that the ledger records."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient) -> None:
        self._client = client
        self._ledger = ledger

    async def grades(self, query: GradesQuery) -> Grades:
        """Return the grades of the newest interventions, or of those in one run."""
        started: deque[Event] = deque(maxlen=query.limit)
        async for event in self._ledger.events([EventType.RECOVERY_STARTED]):
            if query.run_id in {None, event.run_id}:
                started.append(event)
        histories: dict[str, tuple[OrderSnapshot, list[Event]]] = {}
        judgements: list[Judgement] = []
        for event in started:
            order_id = event.order_id
            if order_id is None:
                continue
            if order_id not in histories:
                histories[order_id] = await self._history(order_id)
            order, history = histories[order_id]
            judgements.append(judge(event, history, order))
        return Grades(grades=grade(judgements, await self._drilled(query.run_id)), judgements=judgements)

    async def _history(self, order_id: str) -> tuple[OrderSnapshot, list[Event]]:
        events = [event async for event in self._ledger.events(order_id=order_id)]
        return (await self._ledger.order(order_id)).order, events

    async def _drilled(self, run_id: str | None) -> list[OrderSnapshot]:
        query = api.OrdersQuery(run_id=run_id, theater_id=DRILL_THEATER, limit=_DRILLED_MAX)
        return (await self._client.call(api.LIST_ORDERS, query=query)).orders
