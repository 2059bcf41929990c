"""No limbo: every run and order that has not ended has one blocker, an owner, a next action and a deadline.

Derived from snapshots alone. `PATIENCE_SECONDS` says how long an owner may take before the watchdogs look.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from ironclaw_contracts.enums import Cause, RunStatus, Service, WorktreeState
from ironclaw_contracts.enums import OrderPhase as P
from ironclaw_contracts.snapshots import Lease, OrderSnapshot, RunView
from ironclaw_contracts.transitions import TERMINAL_PHASES
from ironclaw_contracts.why import Link, Why


class Waiting(Struct, frozen=True):
    """What a phase waits for."""

    blocker: str
    owner: Service
    next_action: str
    patience_seconds: int


WAITING: dict[P, Waiting] = {
    P.PLANNED: Waiting("awaiting_dispatch", Service.CO, "co creates the worktree and enqueues the order", 30),
    P.ENQUEUED: Waiting("awaiting_unit", Service.WORKER, "a unit claims the order from the queue", 30),
    P.CLAIMED: Waiting("unit_starting", Service.WORKER, "the unit starts, or its lease runs out", 15),
    P.RUNNING: Waiting("unit_working", Service.WORKER, "the unit reports, or its lease runs out", 15),
    P.COMPLETED: Waiting("awaiting_validation", Service.OBSERVER, "the observer validates the commit", 30),
    P.READY: Waiting("awaiting_integration", Service.INTEGRATION, "integration gates and merges it", 60),
    P.INTEGRATING: Waiting("integrating", Service.INTEGRATION, "integration finishes the gates", 120),
    P.GATED: Waiting("awaiting_promotion", Service.INTEGRATION, "integration promotes the gated merge", 30),
    P.HELD: Waiting("merge_held", Service.INTEGRATION, "integration tries the merge again", 60),
    P.REJECTED: Waiting("rejected", Service.DUTY_OFFICER, "the duty officer reissues or fails the order", 30),
    P.BLOCKED: Waiting("blocked", Service.CO, "co re-plans around the blocker or cancels the order", 30),
    P.ATTEMPT_FAILED: Waiting(
        "attempt_failed", Service.DUTY_OFFICER, "the duty officer reissues or fails the order", 90
    ),
}
_HELD = {
    Cause.PROVIDER_DOWN: "the model provider is away",
    Cause.QUOTA: "the model provider limits us",
    Cause.AUTH: "the model provider refuses our key",
    Cause.DISK: "a disk is full or failing",
    Cause.POLICY: "a policy refuses the work",
}
"""Causes that are nobody's fault here: the order is held behind a breaker and resumes by itself."""
_INVALID = Waiting("invalid_result", Service.DUTY_OFFICER, "the duty officer reissues or fails the order", 30)
_NO_WORKTREE = Waiting("awaiting_worktree", Service.CO, "co asks the vault for a worktree", 30)
_PREPARING = Waiting("preparing_worktree", Service.CO, "co has the vault prepare the worktree", 30)
_DEPENDENCY = Waiting("awaiting_dependency", Service.CO, "co dispatches it once the dependency is merged", 30)
_LOST_DEPENDENCY = Waiting("dependency_lost", Service.CO, "co cancels it: a dependency has failed", 30)
_NO_PLAN = Waiting("awaiting_plan", Service.CO, "co plans the run", 90)
_CANCELLING = Waiting("cancelling", Service.CO, "co cancels the open orders", 30)
_NO_END = Waiting("awaiting_synthesis", Service.CO, "co ends the run and makes the reply", 30)


def why_order(
    order: OrderSnapshot, orders: Mapping[str, OrderSnapshot], leases: Mapping[str, Lease], now: datetime
) -> Why:
    """Return why an order waits.

    `orders` and `leases` hold at least the order's own and those of what it depends on, directly or not.
    """
    if order.phase in TERMINAL_PHASES:
        return _ended(order.order_id, order.phase)
    return _why(order.order_id, order.phase, _order_chain(order, orders, leases, now))


def why_run(view: RunView, leases: Mapping[str, Lease], now: datetime) -> Why:
    """Return why a run waits: for its plan, for its slowest order, or for its end."""
    run = view.run
    if run.status is not RunStatus.OPEN:
        return _ended(run.run_id, run.status)
    orders = {order.order_id: order for order in view.orders}
    open_orders = [order for order in view.orders if order.phase not in TERMINAL_PHASES]
    if run.plan is None and not open_orders:
        own = _link(run.run_id, _NO_PLAN, run.created_at, run.status_event_id, now)
        return _why(run.run_id, run.status, [own])
    if not open_orders:
        own = _link(run.run_id, _NO_END, run.updated_at, run.status_event_id, now)
        return _why(run.run_id, run.status, [own])
    stoppable = [order for order in open_orders if order.phase is not P.GATED]
    if run.cancel_requested is not None and stoppable:
        own = _link(run.run_id, _CANCELLING, run.updated_at, run.status_event_id, now)
        return _why(run.run_id, run.status, [own])
    # The order that has stood still the longest among those that somebody should be moving.
    moving = [o for o in open_orders if _waiting(o, orders) not in (_DEPENDENCY,)] or open_orders
    slowest = min(moving, key=lambda order: (order.phase_since, order.first_seq))
    chain = _order_chain(slowest, orders, leases, now)
    waits = Waiting("awaiting_orders", chain[-1].owner, f"order {slowest.order_id} moves", 30)
    first = _link(run.run_id, waits, run.created_at, run.status_event_id, now, deadline=chain[-1].deadline)
    return _why(run.run_id, run.status, [first, *chain])


def _order_chain(
    order: OrderSnapshot, orders: Mapping[str, OrderSnapshot], leases: Mapping[str, Lease], now: datetime
) -> list[Link]:
    """Return the links from an order down to the one that moves next; its deadline is that of all."""
    path = [order]
    # A path cannot be longer than there are orders, whatever the snapshots say.
    while _waiting(path[-1], orders) is _DEPENDENCY and len(path) <= len(orders):
        path.append(_unmerged(path[-1], orders)[0])
    lease = leases.get(path[-1].order_id)
    held_until = lease.expires_at if lease is not None and path[-1].phase in {P.CLAIMED, P.RUNNING} else None
    last = _order_link(path[-1], orders, now, held_until)
    return [*(_order_link(waiting, orders, now, last.deadline) for waiting in path[:-1]), last]


def _order_link(
    order: OrderSnapshot, orders: Mapping[str, OrderSnapshot], now: datetime, deadline: datetime | None
) -> Link:
    waiting = _waiting(order, orders)
    return _link(order.order_id, waiting, order.phase_since, order.phase_event_id, now, deadline=deadline)


def _unmerged(order: OrderSnapshot, orders: Mapping[str, OrderSnapshot]) -> list[OrderSnapshot]:
    needed = [orders[d] for d in order.depends_on if d in orders]
    return [dependency for dependency in needed if dependency.phase is not P.INTEGRATED]


def _waiting(order: OrderSnapshot, orders: Mapping[str, OrderSnapshot]) -> Waiting:
    if order.phase is P.COMPLETED and order.recovery is not None:
        return _INVALID
    if order.phase is P.ATTEMPT_FAILED and order.history and order.history[-1].cause in _HELD:
        cause = order.history[-1].cause
        return Waiting(
            f"held_{cause}",
            Service.DUTY_OFFICER,
            f"{_HELD[cause]}: the duty officer tries one order after a pause and resumes all when it works",
            300,
        )
    if order.phase is P.HELD and order.hold:
        return Waiting("merge_held", Service.INTEGRATION, f"integration tries it again: {order.hold}", 60)
    if order.phase is not P.PLANNED:
        return WAITING[order.phase]
    unmerged = _unmerged(order, orders)
    if any(dependency.phase in {P.FAILED, P.CANCELLED} for dependency in unmerged):
        return _LOST_DEPENDENCY
    if unmerged:
        return _DEPENDENCY
    if order.worktree is None:
        return _NO_WORKTREE
    return WAITING[P.PLANNED] if order.worktree.state is WorktreeState.READY else _PREPARING


def _link(
    subject: str,
    waiting: Waiting,
    since: datetime,
    event_id: str,
    now: datetime,
    deadline: datetime | None = None,
) -> Link:
    # An owner that has used up its patience is due now, not in the past.
    due = deadline or since + timedelta(seconds=waiting.patience_seconds)
    return Link(
        subject=subject,
        blocker=waiting.blocker,
        owner=waiting.owner,
        since=since,
        event_id=event_id,
        next_action=waiting.next_action,
        deadline=max(due, now),
    )


def _why(subject: str, state: str, chain: list[Link]) -> Why:
    last = chain[-1]
    return Why(
        subject=subject,
        state=state,
        terminal=False,
        blocker=last.blocker,
        owner=last.owner,
        deadline=last.deadline,
        chain=chain,
    )


def _ended(subject: str, state: str) -> Why:
    return Why(subject=subject, state=state, terminal=True, blocker=None, owner=None, deadline=None, chain=[])
