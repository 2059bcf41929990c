"""From one event to the next: what each fact of the ledger changes in what is remembered.

Pure but for changing the memory in place, and deterministic: the same events in the same order leave the same
memory, however they were split into ticks.
"""

from datetime import datetime

from ironclaw_contracts import payloads as p
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.events import Event, typed_payload
from ironclaw_contracts.events import EventType as E
from ironclaw_learning.learned import InForce, Learned, OpenOrder
from ironclaw_learning.sketch import add

_HISTORY_MAX = 20
_LIVE_FASTER = 5
"""The figures of the version in force fade so many times faster: they are to notice a fall soon."""


CONSUMED = frozenset(
    {
        *(E.ORDER_CREATED, E.ORDER_STARTED, E.ORDER_REISSUED, E.ORDER_BLOCKED, E.ORDER_ADOPTED),
        *(E.ORDER_FAILED, E.ORDER_CANCELLED, E.AAR_WRITTEN, E.INTEGRATION_FAILED, E.INTEGRATION_PASSED),
        *(E.INTEGRATED, E.FEEDBACK_RECORDED, E.POLICY_UPDATED),
    }
)
"""The event types that change anything."""


def fold(learned: Learned, event: Event) -> None:
    """Take one event in. One of another type than `CONSUMED` only moves the cursor."""
    learned.seq = event.seq
    if event.type not in CONSUMED:
        return
    payload = typed_payload(event.type, event.payload)
    match payload:
        case p.OrderCreated():
            _created(learned, payload)
        case p.FeedbackRecorded():
            _feedback(learned, payload)
        case p.PolicyUpdated():
            _policy(learned, payload)
        case _:
            order = learned.open.get(event.order_id or "")
            if order is not None and event.order_id is not None:
                _progress(learned, event.order_id, order, event.ts, payload)


def _created(learned: Learned, payload: p.OrderCreated) -> None:
    routing = payload.routing
    if payload.order.type == DRILL or (routing is not None and routing.basis == "replay"):
        return  # planted faults and second tries of the same work say nothing about new work
    learned.open[payload.order.order_id] = OpenOrder(
        task_type=payload.order.type,
        profile=payload.order.profile.name,
        propensity=routing.propensity if routing is not None else None,
        policy_version=routing.policy_version if routing is not None else 0,
    )


def _progress(learned: Learned, order_id: str, order: OpenOrder, ts: datetime, payload: p.Payload) -> None:
    match payload:
        case p.OrderStarted():
            order.started_at = order.started_at or ts
        case p.OrderReissued():
            order.retries += 1
            order.blocked = False
        case p.OrderBlocked():
            # Two orders that touch the same lines are nobody's fault.
            order.blocked = not payload.conflicts
        case p.IntegrationFailed():
            order.gate_failures += any(gate.verdict == "failed" for gate in payload.gates)
            _count_mismatches(order, payload.gates)
        case p.IntegrationPassed():
            _count_mismatches(order, payload.gates)
        case p.AarWritten():
            _count_tokens(order, payload)
        case p.OrderAdopted():
            order.blocked = False
            _count_tokens(order, payload.report)
        case p.Integrated():
            _end(learned, order_id, order, 1, ts)
        case p.OrderFailed(final=True):
            _end(learned, order_id, order, 0 if payload.cause is Cause.TASK else None, ts)
        case p.OrderCancelled():
            _end(learned, order_id, order, 0 if order.blocked else None, ts)
        case _:
            pass


def _count_mismatches(order: OpenOrder, gates: list[p.GateResult]) -> None:
    """Count a result whose report claims what was not so, however many claims there are."""
    order.mismatches += any(gate.mismatches for gate in gates)


def _count_tokens(order: OpenOrder, report: p.AarWritten) -> None:
    """Count what an attempt took; an effort counts every call, a model's use only the last."""
    if report.effort is not None:
        order.tokens_in += report.effort.tokens_in
        order.tokens_out += report.effort.tokens_out
        order.cost_microusd += report.effort.cost_microusd
    elif report.model is not None:
        order.tokens_in += report.model.tokens_in or 0
        order.tokens_out += report.model.tokens_out or 0


def _end(learned: Learned, order_id: str, order: OpenOrder, reward: int | None, ts: datetime) -> None:
    """Count an order that has ended; `reward` is None when its end says nothing about the profile."""
    del learned.open[order_id]
    task = learned.task(order.task_type)
    cell = task.cell(order.profile)
    cell.merged += reward == 1
    cell.failed += reward == 0
    cell.excluded += reward is None
    cell.retries += order.retries
    cell.gate_failures += order.gate_failures
    cell.mismatches += order.mismatches
    cell.cost_microusd += order.cost_microusd
    cell.tokens_in += order.tokens_in
    cell.tokens_out += order.tokens_out
    if reward == 1 and order.started_at is not None:
        add(cell.latency, (ts - order.started_at).total_seconds())
    if reward is None or order.propensity is None:
        return
    by = 0.5 ** (1 / learned.given.half_life_orders)
    for memory in task.memory.values():
        memory.fade(by)
    task.weight = task.weight * by + 1
    task.weight_square = task.weight_square * by * by + 1
    task.remembered(order.profile).add(reward, order.propensity)
    if order.policy_version == learned.in_force.version:
        live, faster = task.live, by**_LIVE_FASTER
        live.n, live.reward = live.n * faster + 1, live.reward * faster + reward


def _feedback(learned: Learned, payload: p.FeedbackRecorded) -> None:
    for charged in payload.orders:
        task = learned.task(charged.task_type)
        cell = task.cell(charged.profile)
        if payload.verdict == "accept":
            cell.accepted += 1
            continue
        cell.corrected += 1
        if charged.propensity is not None:
            task.remembered(charged.profile).take_back(charged.propensity)
            if charged.policy_version == learned.in_force.version:
                task.live.reward = max(0.0, task.live.reward - 1)


def _policy(learned: Learned, payload: p.PolicyUpdated) -> None:
    match payload.action:
        case "configured":
            learned.parameters = payload.parameters
            return
        case "proposed":
            learned.proposal = payload
            learned.proposed_version = payload.version
            return
        case "promoted":
            in_force = InForce(payload.version, payload.document, payload.evaluation)
            learned.history = [*learned.history, in_force][-_HISTORY_MAX:]
            learned.held = False
        case "rolled_back" | "demoted":
            learned.history = learned.history[:-1] or [InForce()]
            learned.held = learned.held or payload.action == "rolled_back"
    learned.proposal = None
    learned.changes += 1
    for task in learned.tasks.values():
        task.live.n = task.live.reward = 0.0
