"""What the transition table cannot say: which events may follow, given snapshots, leases and the time.

Each guard raises the `Problem` that the caller is answered; none changes anything.
"""

from collections.abc import Mapping
from datetime import datetime

from ironclaw_contracts import payloads as p
from ironclaw_contracts.authority import check_authority
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service, WorktreeState
from ironclaw_contracts.errors import (
    Authority,
    BadRequest,
    Conflict,
    IllegalTransition,
    LeaseLive,
    NotFound,
    NotReady,
    StaleAttempt,
)
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent
from ironclaw_contracts.snapshots import Lead, Lease, OrderSnapshot, RunSnapshot, is_plausible
from ironclaw_contracts.transitions import FENCED, ORDER_TRANSITIONS

_IN_HAND = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
_PATROLS = frozenset({Service.DUTY_OFFICER, Service.SENTINEL})
"""The services that patrol; `check_lead` let the sentinel pass only while it leads."""


def check_lead(event: NewEvent, source: Service, lead: Lead | None, now: datetime) -> None:
    """A service acts for the duty officer only while it holds the lead of the patrol."""
    leads = lead is not None and lead.service == source and lead.expires_at > now
    check_authority(source, event.type, leads=leads)


def check_run_creation(run: RunSnapshot | None, event: NewEvent) -> None:
    """A run is created once, in a theater."""
    if event.run_id is None or event.theater_id is None:
        raise BadRequest("RUN_CREATED needs run_id and theater_id")
    if run is not None:
        raise Conflict(f"run {event.run_id} exists already")


def check_run_event(run: RunSnapshot | None, event: NewEvent, payload: p.Payload) -> RunSnapshot:
    """A run's events are legal while it is open; it ends only when all its orders have.

    Only the ACK of its intent may come later: the validator may have been away while the run was done.
    """
    if run is None:
        raise NotFound(f"there is no run {event.run_id!r}")
    _check_theater(run, event)
    if run.status is not RunStatus.OPEN and not _only_links_intent(payload):
        raise IllegalTransition(f"{event.type} on run {run.run_id}, which is {run.status}")
    if event.type is not E.RUN_UPDATED and run.orders_open:
        raise IllegalTransition(f"{event.type} on run {run.run_id}, which has {run.orders_open} open orders")
    if event.type is E.RUN_COMPLETED and run.plan is None:
        raise IllegalTransition(f"RUN_COMPLETED on run {run.run_id}, which has no plan")
    return run


def _only_links_intent(payload: p.Payload) -> bool:
    return isinstance(payload, p.RunUpdated) and payload == p.RunUpdated(intent=payload.intent)


def check_order_creation(
    run: RunSnapshot | None,
    order: OrderSnapshot | None,
    event: NewEvent,
    payload: p.OrderCreated,
    siblings: Mapping[str, OrderSnapshot],
) -> RunSnapshot:
    """An order is created once, in an open run, within its budget, and depends on orders that exist.

    So no dependency can lead back to the order itself.
    """
    if run is None:
        raise NotFound(f"there is no run {event.run_id!r}")
    _check_theater(run, event)
    if run.status is not RunStatus.OPEN:
        raise IllegalTransition(f"ORDER_CREATED on run {run.run_id}, which is {run.status}")
    if order is not None:
        raise Conflict(f"order {order.order_id} exists already")
    if run.orders_total >= run.budget.max_orders:
        raise Conflict(
            f"run {run.run_id} has the {run.budget.max_orders} orders that its budget.max_orders allows"
        )
    if (payload.order.order_id, payload.order.run_id) != (event.order_id, event.run_id):
        raise BadRequest("payload.order names another order or run than the event")
    if payload.order.theater_id != run.theater_id:
        raise BadRequest(
            f"payload.order is of theater {payload.order.theater_id}, its run of {run.theater_id}"
        )
    for needed in payload.depends_on:
        _check_sibling("depends_on", needed, run, siblings)
    if payload.replaces is not None:
        _check_sibling("replaces", payload.replaces, run, siblings)
    return run


def _check_theater(run: RunSnapshot, event: NewEvent) -> None:
    if event.theater_id not in (None, run.theater_id):
        raise BadRequest(f"run {run.run_id} is of theater {run.theater_id}, not of {event.theater_id}")


def _check_sibling(
    field: str, order_id: str, run: RunSnapshot, siblings: Mapping[str, OrderSnapshot]
) -> None:
    sibling = siblings.get(order_id)
    if sibling is None or sibling.run_id != run.run_id:
        raise BadRequest(f"{field} names {order_id!r}, which is no order of run {run.run_id} so far")


def check_order_event(
    order: OrderSnapshot | None, event: NewEvent, payload: p.Payload, source: Service
) -> OrderSnapshot:
    """An order's event fits its phase, carries its current attempt, and comes from the unit that holds it."""
    if order is None:
        raise NotFound(f"there is no order {event.order_id!r}")
    if event.run_id is not None and event.run_id != order.run_id:
        raise BadRequest(f"order {order.order_id} belongs to run {order.run_id}, not to {event.run_id}")
    if event.theater_id is not None and event.theater_id != order.theater_id:
        raise BadRequest(
            f"order {order.order_id} is of theater {order.theater_id}, not of {event.theater_id}"
        )
    attempt = payload.attempt if isinstance(payload, p.AttemptPayload) else order.attempt
    if event.type in FENCED and attempt != order.attempt:
        raise StaleAttempt(f"{event.type} of attempt {attempt}; order {order.order_id} is at {order.attempt}")
    if event.type not in {E.ORDER_REISSUED, E.ORDER_ADOPTED} and attempt > order.attempt:
        raise Conflict(
            f"{event.type} of attempt {attempt}; order {order.order_id} is only at {order.attempt}"
        )
    if order.phase not in ORDER_TRANSITIONS[event.type].sources:
        raise IllegalTransition(f"{event.type} on order {order.order_id}, which is {order.phase}")
    if source is Service.WORKER and order.phase in _IN_HAND and event.unit_id != order.unit_id:
        raise StaleAttempt(
            f"order {order.order_id} is in the hands of {order.unit_id}, not of {event.unit_id}"
        )
    return order


def check_details(
    order: OrderSnapshot,
    event: NewEvent,
    payload: p.Payload,
    *,
    source: Service,
    lease: Lease | None,
    siblings: Mapping[str, OrderSnapshot],
    now: datetime,
) -> None:
    """The conditions of single event types."""
    match payload:
        case p.OrderEnqueued():
            _check_enqueue(order, payload, siblings)
        case p.OrderClaimed():
            if event.unit_id is None:
                raise BadRequest("ORDER_CLAIMED needs unit_id")
        case p.OrderReissued():
            if payload.attempt != order.attempt + 1:
                raise StaleAttempt(
                    f"reissue as {payload.attempt}; order {order.order_id} is at {order.attempt}"
                )
            _check_not_held(order, lease, now)
            _check_not_done(order, event)
        case p.OrderAdopted():
            _check_adoption(order, payload)
        case p.OrderFailed():
            if payload.final and source not in _PATROLS:
                raise Authority("only the duty officer says that no further attempt follows")
            if source in _PATROLS:
                if not payload.final:
                    raise Authority("the duty officer appends ORDER_FAILED only with final")
                _check_not_held(order, lease, now)
                _check_not_done(order, event)
            elif order.phase not in _IN_HAND:
                raise IllegalTransition(f"ORDER_FAILED by {source} on an order that is {order.phase}")
        case p.OrderBlocked():
            worker_may = order.phase is OrderPhase.RUNNING
            if worker_may is not (source is Service.WORKER):
                raise IllegalTransition(f"ORDER_BLOCKED by {source} on an order that is {order.phase}")
        case p.OrderCompleted():
            if order.report is None:
                raise IllegalTransition("ORDER_COMPLETED before AAR_WRITTEN: report first")
            if order.report.status != "completed":
                raise IllegalTransition(f"ORDER_COMPLETED, but the unit's AAR says {order.report.status!r}")
        case p.IntegrationReady() | p.IntegrationStarted():
            if payload.commit_sha != order.commit_sha:
                raise Conflict(f"commit {payload.commit_sha} is not the order's, which is {order.commit_sha}")
        case p.IntegrationPassed():
            _check_gates(payload)
        case p.Integrated():
            if payload.commit_sha != order.merge_commit:
                raise Conflict(
                    f"commit {payload.commit_sha} is not the gated one, which is {order.merge_commit}"
                )
        case p.WorktreeReady():
            if order.worktree is None or order.worktree.state is not WorktreeState.CREATED:
                raise IllegalTransition("WORKTREE_READY before WORKTREE_CREATED")
        case _:
            pass


def _check_adoption(order: OrderSnapshot, payload: p.OrderAdopted) -> None:
    """Work that came late takes the place of a newer attempt, unless that has a valid result of its own."""
    if payload.attempt != order.attempt + 1:
        raise StaleAttempt(f"adoption as {payload.attempt}; order {order.order_id} is at {order.attempt}")
    if payload.adopts > order.attempt:
        raise Conflict(f"attempt {payload.adopts} of order {order.order_id} has not been")
    if payload.report.status != "completed":
        raise IllegalTransition(f"attempt {payload.adopts} reports {payload.report.status!r}")
    if order.phase is OrderPhase.COMPLETED and order.recovery is None:
        raise IllegalTransition(f"order {order.order_id} has a result of attempt {order.attempt} already")


def _check_enqueue(
    order: OrderSnapshot, payload: p.OrderEnqueued, siblings: Mapping[str, OrderSnapshot]
) -> None:
    """Dependents start only on merged work that their base contains (DESIGN, "How state moves")."""
    worktree = order.worktree
    if worktree is None or worktree.attempt != order.attempt or worktree.state is not WorktreeState.READY:
        raise NotReady(f"order {order.order_id} has no worktree ready for attempt {order.attempt}")
    if payload.base_commit != worktree.base_commit:
        raise NotReady(f"base commit {payload.base_commit} is not the worktree's, {worktree.base_commit}")
    for needed in order.depends_on:
        sibling = siblings.get(needed)
        if sibling is None or sibling.phase is not OrderPhase.INTEGRATED or sibling.merge_commit is None:
            raise NotReady(
                f"dependency {needed} is {sibling.phase if sibling else 'unknown'}, not INTEGRATED"
            )
        if sibling.merge_commit not in worktree.contains:
            raise NotReady(
                f"the worktree is not proven to contain {sibling.merge_commit} of dependency {needed}"
            )


def _check_gates(payload: p.IntegrationPassed) -> None:
    """A gate that failed or could not run lets nothing through: gates fail closed."""
    for result in payload.gates:
        if result.verdict != "passed":
            raise BadRequest(f"INTEGRATION_PASSED, but gate {result.gate} has the verdict {result.verdict}")


def _check_not_done(order: OrderSnapshot, event: NewEvent) -> None:
    """A result that came late but is valid is kept: whoever saw a dead unit before must look again."""
    if order.phase is OrderPhase.COMPLETED and order.recovery is None:
        raise IllegalTransition(
            f"{event.type} on order {order.order_id}, which is COMPLETED and was not found invalid"
        )


def turns_on_lease(payload: p.Payload) -> bool:
    """Tell whether `check_details` may ask who holds the order: its lease must stand still meanwhile."""
    return isinstance(payload, p.OrderReissued | p.OrderFailed)


def _check_not_held(order: OrderSnapshot, lease: Lease | None, now: datetime) -> None:
    """No one takes an order from a unit whose lease lives: a watchdog cannot kill healthy work."""
    live = (
        lease is not None
        and lease.attempt == order.attempt
        and lease.expires_at > now
        and is_plausible(lease, now)
    )
    if order.phase in _IN_HAND and live and lease is not None:
        raise LeaseLive(
            f"unit {lease.unit_id} holds order {order.order_id} until {lease.expires_at.isoformat()}"
        )
