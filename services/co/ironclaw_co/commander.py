"""Drive a run: read its snapshot, decide what is missing, do it. Safe to stop and repeat anywhere."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.tracing import span
from ironclaw_co.admission import Admitted
from ironclaw_co.dispatcher import Dispatcher
from ironclaw_co.draft_plan import CannotPlan
from ironclaw_co.drafting import Drafter
from ironclaw_co.planner import plan_events
from ironclaw_co.progress import (
    Action,
    Cancel,
    CancelRun,
    Dispatch,
    Fail,
    Finish,
    MakePlan,
    Replan,
    Tidy,
    next_actions,
)
from ironclaw_co.replan import replan_events
from ironclaw_co.routing import Router, RoutingTable
from ironclaw_co.synthesis import all_artifacts, compose_reply, final_orders, readable
from ironclaw_contracts.derived import order_event, run_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import EventConflict, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.payloads import OrderCancelled, Payload, RunCompleted, RunEnded
from ironclaw_contracts.snapshots import OrderSnapshot, RunSnapshot, RunView

log = structlog.get_logger()

_ROUNDS_MAX = 50  # planning, then cancelling, then ending: a run needs a handful of rounds
_PARALLEL_MAX = 4


def _fresh_ids() -> Iterator[str]:
    while True:
        yield new_id()


class Commander:
    """Performs what `progress` decides."""

    def __init__(
        self,
        client: ServiceClient,
        ledger: LedgerClient,
        dispatcher: Dispatcher,
        drafter: Drafter,
        router: Router,
        *,
        in_flight_max: int,
        intent_required: bool,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._drafter = drafter
        self._router = router
        self._in_flight_max = in_flight_max
        self._intent_required = intent_required
        self._slots = asyncio.Semaphore(_PARALLEL_MAX)
        self._new: dict[str, Admitted] = {}

    def begin(self, admitted: Admitted) -> None:
        """Take note of a run that was just recorded: the next look at it need not ask the ledger.

        A run without a plan has no orders. Whatever happened to it meanwhile, the ledger says no to the plan.
        """
        if admitted.run.plan is None:
            self._new[admitted.run.run_id] = admitted

    async def advance(self, run_id: str) -> RunView:
        """Do all that can be done for a run now and return where it stands.

        Raises what the ledger, the vault or the queue answered when something could not be done; the rest
        was done all the same.
        """
        new = self._new.pop(run_id, None)
        view = RunView(new.run, []) if new is not None else await self._ledger.run(run_id)
        if not next_actions(view, datetime.now(UTC), self._in_flight_max):
            return view
        with span("co.advance", parent=view.run.traceparent, attributes={"ironclaw.run_id": run_id}):
            return await self._rounds(view, new.table if new is not None else None)

    async def _rounds(self, view: RunView, table: RoutingTable | None) -> RunView:
        for _ in range(_ROUNDS_MAX):
            actions = next_actions(
                view, datetime.now(UTC), self._in_flight_max, intent_required=self._intent_required
            )
            if not actions:
                return view
            tidying = [action for action in actions if isinstance(action, Tidy)]
            going_on = [action for action in actions if not isinstance(action, Tidy)]
            results = await self._perform_all(view, going_on, table)
            results += await self._perform_all(view, tidying, table)  # nobody waits for that
            failed = next((result for result in results if isinstance(result, BaseException)), None)
            if failed is not None:
                raise failed
            if all(isinstance(a, Dispatch | Tidy) for a in actions):
                return view  # what comes of these is told by events of others
            told = next((result for result in results if isinstance(result, RunView)), None)
            if told is not None and told.run.status is not RunStatus.OPEN:
                return told  # its orders had ended before, and were tidied up in the same round
            view = told or await self._ledger.run(view.run.run_id)
        return view

    async def _perform_all(
        self, view: RunView, actions: Sequence[Action], table: RoutingTable | None
    ) -> list[RunView | BaseException | None]:
        doing = (self._perform(view, action, table) for action in actions)
        return await asyncio.gather(*doing, return_exceptions=True)

    async def _perform(self, view: RunView, action: Action, table: RoutingTable | None) -> RunView | None:
        """Do one thing; return the whole run as it is then, where that is known.

        Of a run that ended that is how it ended, with its orders as they were.
        """
        async with self._slots:
            match action:
                case MakePlan():
                    return await self._plan(view.run, table)
                case Dispatch():
                    await self._dispatcher.dispatch(action)
                case Cancel(order, reason):
                    await self._cancel(order, reason)
                case Replan(order):
                    await self._replan(view, order)
                case Tidy(order):
                    await self._tidy(order)
                case Finish():
                    return await self._finish(view)
                case Fail(reason):
                    return await self._end(view, EventType.RUN_FAILED, RunEnded(reason=reason))
                case CancelRun(reason):
                    return await self._end(view, EventType.RUN_CANCELLED, RunEnded(reason=reason))
        return None

    async def _plan(self, run: RunSnapshot, table: RoutingTable | None) -> RunView | None:
        """Give the run its plan; a wish that cannot be planned fails the run with the reason."""
        try:
            draft = await self._drafter.draft(run)
            events = plan_events(run, draft, _fresh_ids(), table or await self._router.table())
        except CannotPlan as error:
            ended = RunEnded(reason=str(error)[:2000])
            return await self._end(RunView(run, []), EventType.RUN_FAILED, ended)
        try:
            seen = await self._ledger.append_and_see(events)
        except EventConflict:
            log.info("planned already", run_id=run.run_id)
            return None
        return RunView(seen.runs[0], seen.orders)

    async def _replan(self, view: RunView, blocked: OrderSnapshot) -> None:
        try:
            events = replan_events(view, blocked, _fresh_ids(), await self._router.table())
        except CannotPlan as error:
            await self._cancel(blocked, str(error)[:2000])
            return
        try:
            await self._ledger.append_all(events)
        except EventConflict:
            log.info("re-planned already", run_id=view.run.run_id)

    async def _cancel(self, order: OrderSnapshot, reason: str) -> None:
        await self._ledger.append(
            order_event(
                EventType.ORDER_CANCELLED, OrderCancelled(attempt=order.attempt, reason=reason), order
            )
        )

    async def _tidy(self, order: OrderSnapshot) -> None:
        query = vault.AttemptQuery(attempt=order.worktree.attempt if order.worktree else None)
        try:
            await self._client.call(vault.REMOVE_WORKTREE, query=query, order_id=order.order_id)
        except NotFound:
            log.warning("no worktree to remove", order_id=order.order_id)

    async def _finish(self, view: RunView) -> RunView | None:
        texts = await self._texts(view)
        reply = compose_reply(view, texts)
        return await self._end(
            view, EventType.RUN_COMPLETED, RunCompleted(reply=reply, artifacts=all_artifacts(view))
        )

    async def _texts(self, view: RunView) -> dict[str, str]:
        async def read(order: OrderSnapshot, path: str) -> tuple[str, str]:
            query = vault.FileQuery(path=path, commit=order.merge_commit)
            content = await self._client.call(vault.READ_FILE, query=query, theater_id=order.theater_id)
            return path, content.decode("utf-8", errors="replace").replace("\x00", "")

        wanted = [(order, a.path) for order in final_orders(view) for a in readable(order)]
        return dict(await asyncio.gather(*(read(order, path) for order, path in wanted)))

    async def _end(self, view: RunView, kind: EventType, payload: Payload) -> RunView | None:
        try:
            seen = await self._ledger.append_and_see([run_event(kind, payload, view.run)])
        except EventConflict:
            log.info("ended already", run_id=view.run.run_id, kind=kind)
            return None
        return RunView(seen.runs[0], view.orders)
