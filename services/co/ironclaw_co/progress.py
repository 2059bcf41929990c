"""What a run needs next, decided from its snapshot alone. Every round of co starts here."""

from datetime import datetime, timedelta

from msgspec import Struct

from ironclaw_co.intents import may_dispatch, refusal
from ironclaw_co.replan import with_dependents
from ironclaw_contracts.enums import OrderPhase, RunStatus, WorktreeState
from ironclaw_contracts.snapshots import OrderSnapshot, RunView
from ironclaw_contracts.transitions import TERMINAL_PHASES

IN_FLIGHT = frozenset({OrderPhase.ENQUEUED, OrderPhase.CLAIMED, OrderPhase.RUNNING})
_PRESENT = frozenset({WorktreeState.CREATED, WorktreeState.READY, WorktreeState.ARCHIVED})


class MakePlan(Struct, frozen=True):
    """The run has no plan yet."""


class Dispatch(Struct, frozen=True):
    """The order's dependencies are merged: give it a worktree (unless it has one) and enqueue it."""

    order: OrderSnapshot
    requires: tuple[str, ...]


class Cancel(Struct, frozen=True):
    """The order will not be needed any more."""

    order: OrderSnapshot
    reason: str


class Replan(Struct, frozen=True):
    """The order is blocked, or has failed for good, and the budget allows another way."""

    order: OrderSnapshot


class Tidy(Struct, frozen=True):
    """The order has ended and its worktree is still there."""

    order: OrderSnapshot


class Finish(Struct, frozen=True):
    """All work is merged: make the reply."""


class Fail(Struct, frozen=True):
    """The run cannot succeed any more and nothing of it moves."""

    reason: str


class CancelRun(Struct, frozen=True):
    """The run was asked to stop and nothing of it moves."""

    reason: str


Action = MakePlan | Dispatch | Cancel | Replan | Tidy | Finish | Fail | CancelRun


def next_actions(
    view: RunView, now: datetime, in_flight_max: int, *, intent_required: bool = False
) -> list[Action]:
    """Return what to do now, all of it safe to do twice.

    `in_flight_max` bounds how many orders of the run are with the workers at once. With `intent_required`
    nothing is dispatched before the validator has accepted the plan's intent, and a refused run stops.
    """
    tidy: list[Action] = [Tidy(order) for order in view.orders if _needs_tidying(order)]
    if view.run.status is not RunStatus.OPEN:
        return tidy
    stop = _reason_to_stop(view, now)
    if stop is None and intent_required:
        stop = refusal(view.run)
    if stop is not None:
        open_orders = [o for o in view.orders if o.phase not in TERMINAL_PHASES]
        if open_orders:
            return [*(Cancel(o, stop) for o in open_orders if o.phase is not OrderPhase.GATED), *tidy]
        return [CancelRun(stop) if view.run.cancel_requested else Fail(stop), *tidy]
    if view.run.plan is None:
        return [MakePlan()]
    renewals = _renewals(view)
    if renewals:
        return [*renewals, *tidy]
    if view.run.orders_open == 0:
        lost = lost_orders(view)
        goes_on = view.run.on_order_failure == "continue" and view.run.orders_integrated > 0
        return [Fail(_loss(lost)) if lost and not goes_on else Finish(), *tidy]
    in_flight_max = 0 if intent_required and not may_dispatch(view.run) else in_flight_max
    return [*_order_actions(view, in_flight_max), *tidy]


def _reason_to_stop(view: RunView, now: datetime) -> str | None:
    run = view.run
    if run.cancel_requested:
        return run.cancel_requested
    if now > run.created_at + timedelta(seconds=run.budget.deadline_seconds):
        return f"the run's deadline of {run.budget.deadline_seconds} s has passed"
    return None


def _order_actions(view: RunView, in_flight_max: int) -> list[Action]:
    by_id = {order.order_id: order for order in view.orders}
    replans = _replans(view)
    given_up = _given_up(view)
    free = in_flight_max - sum(1 for order in view.orders if order.phase in IN_FLIGHT)
    actions: list[Action] = []
    for order in view.orders:
        needed = [by_id[d] for d in order.depends_on]
        lost = next((d for d in needed if d.phase in {OrderPhase.FAILED, OrderPhase.CANCELLED}), None)
        if order.phase is OrderPhase.BLOCKED:
            if replans < view.run.budget.max_replans:
                replans += 1
                actions.append(Replan(order))
            else:
                actions.append(
                    Cancel(order, f"blocked, and no re-plan is left: {_last_reason(order)}"[:2000])
                )
        elif order.phase is OrderPhase.PLANNED and given_up is not None:
            actions.append(Cancel(order, f"the run fails: order {given_up.order_id} is {given_up.phase}"))
        elif order.phase is OrderPhase.PLANNED and lost is not None:
            actions.append(Cancel(order, f"depends on {lost.order_id}, which is {lost.phase}"))
        elif order.phase is OrderPhase.PLANNED and free > 0 and _all_merged(needed):
            free -= 1
            actions.append(Dispatch(order, tuple(d.merge_commit for d in needed if d.merge_commit)))
    return actions


def _renewals(view: RunView) -> list[Action]:
    """Return the failed order that the run's policy and budget replace next, if any.

    A re-plan replaces all that waits for the order too, so the next round sees the others afresh.
    """
    if view.run.on_order_failure != "replan" or _replans(view) >= view.run.budget.max_replans:
        return []
    failed = [order for order in lost_orders(view) if order.phase is OrderPhase.FAILED]
    room = view.run.budget.max_orders - view.run.orders_total
    fitting = [order for order in failed if len(with_dependents(view, order)) <= room]
    return [Replan(order) for order in fitting[:1]]


def _given_up(view: RunView) -> OrderSnapshot | None:
    """Return the failed order for which the run begins nothing more; None when it goes on."""
    if view.run.on_order_failure == "continue":
        return None
    return next((order for order in lost_orders(view) if order.phase is OrderPhase.FAILED), None)


def _replans(view: RunView) -> int:
    """Return how many times the run was re-planned: each makes one new version of the plan."""
    return view.run.plan.version - 1 if view.run.plan is not None else 0


def lost_orders(view: RunView) -> list[OrderSnapshot]:
    """Return the ended orders whose work is missing: failed or cancelled, and not replaced by another."""
    replaced = {order.replaces for order in view.orders}
    return [
        order
        for order in view.orders
        if order.phase in {OrderPhase.FAILED, OrderPhase.CANCELLED} and order.order_id not in replaced
    ]


def _all_merged(needed: list[OrderSnapshot]) -> bool:
    return all(order.phase is OrderPhase.INTEGRATED for order in needed)


def _needs_tidying(order: OrderSnapshot) -> bool:
    return order.phase in TERMINAL_PHASES and order.worktree is not None and order.worktree.state in _PRESENT


def _last_reason(order: OrderSnapshot) -> str:
    return order.history[-1].reason if order.history else "no reason given"


def _loss(lost: list[OrderSnapshot]) -> str:
    first = next((o for o in lost if o.phase is OrderPhase.FAILED), lost[0])
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return f"order {first.order_id} is {first.phase}: {_last_reason(first)}{more}"[:2000]
