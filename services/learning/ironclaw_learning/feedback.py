"""What people think of results, as events: who said it, and which orders it counts for."""

from msgspec.structs import replace

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.endpoints.learning import FeedbackAnswer, FeedbackRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.errors import Conflict, NotFound
from ironclaw_contracts.events import Event, EventType, new_event, typed_payload
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import FeedbackRecorded
from ironclaw_contracts.policy import Charged, FollowUp
from ironclaw_contracts.snapshots import OrderSnapshot, RunView


class Feedback:
    """Records feedback; the same again is the same event."""

    def __init__(self, ledger: LedgerClient, garrison_id: str) -> None:
        self._ledger = ledger
        self._garrison_id = garrison_id

    async def person(self, run_id: str, request: FeedbackRequest) -> FeedbackAnswer:
        """Record what somebody says. Raises `NotFound`, or `Conflict` while the run goes on."""
        view = await self._ledger.run(run_id)
        if view.run.status is RunStatus.OPEN:
            raise Conflict(f"run {run_id} goes on; give feedback when it has ended, or cancel it")
        event_id = derived_event_id(run_id, "feedback", request.by, request.verdict)
        said = FeedbackRecorded(
            verdict=request.verdict, origin="person", by=request.by, comment=request.comment
        )
        return await self.record(view, said, event_id)

    async def follow_up(self, run_id: str, by: str, follow_up: FollowUp) -> None:
        """Record what a run says about the one before it; a run that is not there is charged nothing."""
        try:
            view = await self._ledger.run(follow_up.run_id)
        except NotFound:
            return
        said = FeedbackRecorded(
            verdict=follow_up.verdict, origin="follow_up", by=by, comment=f"followed by run {run_id}"
        )
        await self.record(view, said, derived_event_id(run_id, "follow_up"))

    async def record(self, view: RunView | None, said: FeedbackRecorded, event_id: str) -> FeedbackAnswer:
        """Append what was said, charged to the orders of its run; said before, it is answered as then."""
        run = view.run if view is not None else None
        earlier = [] if run is None else await self._of_run(run.run_id)
        known = next((event for event in earlier if event.event_id == event_id), None)
        if known is not None:
            return FeedbackAnswer(event_id, _counts_for(_payload(known)))
        counted = said.verdict == "noted" or any(_alike(_payload(event), said) for event in earlier)
        payload = replace(said, orders=[] if counted or view is None else charged(view))
        await self._ledger.append(
            new_event(
                EventType.FEEDBACK_RECORDED,
                payload,
                run_id=run.run_id if run is not None else None,
                theater_id=run.theater_id if run is not None else None,
                garrison_id=self._garrison_id,
                event_id=event_id,
            )
        )
        return FeedbackAnswer(event_id, _counts_for(payload))

    async def _of_run(self, run_id: str) -> list[Event]:
        return [e async for e in self._ledger.events([EventType.FEEDBACK_RECORDED], run_id=run_id)]


def charged(view: RunView) -> list[Charged]:
    """Return the orders that a verdict on a run counts for: the merged ones that its reply is made of."""
    named = set(view.run.plan.extraction.order_ids) if view.run.plan is not None else set[str]()
    return [
        Charged(
            order_id=order.order_id,
            task_type=order.order.type,
            profile=order.order.profile.name,
            propensity=order.routing.propensity if order.routing is not None else None,
            policy_version=order.routing.policy_version if order.routing is not None else None,
        )
        for order in view.orders
        if order.order_id in named and order.phase is OrderPhase.INTEGRATED and _is_learned_from(order)
    ]


def _is_learned_from(order: OrderSnapshot) -> bool:
    replay = order.routing is not None and order.routing.basis == "replay"
    return order.order.type != DRILL and not replay


def _payload(event: Event) -> FeedbackRecorded:
    payload = typed_payload(event.type, event.payload)
    if not isinstance(payload, FeedbackRecorded):
        raise TypeError(f"{event.type} carries {type(payload).__name__}")
    return payload


def _alike(earlier: FeedbackRecorded, said: FeedbackRecorded) -> bool:
    """Tell whether an earlier feedback counts already what this one would: praise, or a correction."""
    return bool(earlier.orders) and (earlier.verdict == "accept") == (said.verdict == "accept")


def _counts_for(payload: FeedbackRecorded) -> list[str]:
    return [order.order_id for order in payload.orders if order.order_id is not None]
