"""Another way round a blocked or failed order: a replacement that knows why, and copies of what waited."""

from collections.abc import Iterator

import msgspec

from ironclaw_co.draft_plan import DraftTask
from ironclaw_co.planner import check_budget, order_event, plan_event, routed
from ironclaw_co.routing import RoutingTable
from ironclaw_contracts import derived
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.payloads import OrderCancelled
from ironclaw_contracts.plan import Plan, Task
from ironclaw_contracts.snapshots import OrderSnapshot, RunView
from ironclaw_contracts.transitions import TERMINAL_PHASES


def replan_events(
    view: RunView, blocked: OrderSnapshot, ids: Iterator[str], routes: RoutingTable
) -> list[NewEvent]:
    """Return the events of a re-plan, to be appended all or none.

    The blocked order and everything that waits for it are cancelled and replaced; merged work stays.
    Raises `CannotPlan` when the run's budget has no room for the new orders. Each is routed anew.
    """
    run = view.run
    if run.plan is None:
        raise ValueError(f"run {run.run_id} has no plan to change")
    doomed = with_dependents(view, blocked)
    check_budget(run.budget, run.orders_total + len(doomed))
    new_ids = {order.order_id: next(ids) for order in doomed}
    created = [
        order_event(
            run,
            _task(order, blocked),
            new_ids[order.order_id],
            depends_on=[new_ids.get(d, d) for d in order.depends_on],
            routed=routed(routes, run, order.order.type, new_ids[order.order_id]),
            replaces=order.order_id,
        )
        for order in doomed
    ]
    cancelled = [
        _cancellation(order, new_ids[order.order_id])
        for order in doomed
        if order.phase not in TERMINAL_PHASES
    ]
    return [plan_event(run, _new_plan(run.plan, doomed, new_ids), routes.version), *created, *cancelled]


def with_dependents(view: RunView, blocked: OrderSnapshot) -> list[OrderSnapshot]:
    """Return the blocked or failed order and all that waits for it, each after what it depends on."""
    doomed = {blocked.order_id: blocked}
    grown = True
    while grown:
        waiting = [
            order
            for order in view.orders
            if order.phase is OrderPhase.PLANNED
            and order.order_id not in doomed
            and any(d in doomed for d in order.depends_on)
        ]
        grown = bool(waiting)
        doomed |= {order.order_id: order for order in waiting}
    return list(doomed.values())


def _task(order: OrderSnapshot, blocked: OrderSnapshot) -> DraftTask:
    objective = order.order.objective
    if order is blocked and order.history:
        last = order.history[-1]
        advice = order.report.next_recommendations if order.report else []
        lines = [f"An earlier order for this ended {order.phase}: {last.reason}", *last.conflicts, *advice]
        objective = "\n".join([objective, "", *lines])[:200_000]
    return DraftTask(type=order.order.type, title=order.title, objective=objective, inputs=order.order.inputs)


def _cancellation(order: OrderSnapshot, replaced_by: str) -> NewEvent:
    cancelled = OrderCancelled(
        attempt=order.attempt, reason=f"replaced by {replaced_by}", replaced_by=replaced_by
    )
    return derived.order_event(EventType.ORDER_CANCELLED, cancelled, order)


def _new_plan(plan: Plan, doomed: list[OrderSnapshot], new_ids: dict[str, str]) -> Plan:
    tasks = [
        Task(
            order_id=new_ids.get(task.order_id, task.order_id),
            type=task.type,
            title=task.title,
            depends_on=[new_ids.get(d, d) for d in task.depends_on],
        )
        for task in plan.tasks
    ]
    return msgspec.structs.replace(
        plan,
        version=plan.version + 1,
        tasks=tasks,
        extraction=msgspec.structs.replace(
            plan.extraction, order_ids=[new_ids.get(o, o) for o in plan.extraction.order_ids]
        ),
        notes=[*plan.notes, f"re-planned around {doomed[0].order_id}"],
    )
