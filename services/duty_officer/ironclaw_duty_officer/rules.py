"""The duty officer's rules: from an order's snapshot, its lease and the time to one intervention, or none.

A rule never takes an order from a unit whose lease lives; the ledger would refuse that anyway.
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from ironclaw_contracts.enums import Cause, OrderPhase
from ironclaw_contracts.snapshots import AttemptEnd, Lease, OrderSnapshot

WATCHED_PHASES = frozenset(
    {
        OrderPhase.ENQUEUED,
        OrderPhase.CLAIMED,
        OrderPhase.RUNNING,
        OrderPhase.ATTEMPT_FAILED,
        OrderPhase.COMPLETED,
        OrderPhase.REJECTED,
    }
)
_BACKOFF_SECONDS = (2.0, 60.0)

Rule = Literal["unclaimed", "lost_unit", "failed", "rejected", "invalid"]


class Thresholds(Struct, frozen=True):
    """`unclaimed_seconds`: how long a job may wait; `lost_units_max`: how many units one order may cost."""

    unclaimed_seconds: int
    lease_seconds: int
    lost_units_max: int


class Enqueue(Struct, frozen=True):
    """Put the job on the queue again; `round` makes the job's id new."""

    order: OrderSnapshot
    round: int
    rule: Rule = "unclaimed"


class Reissue(Struct, frozen=True):
    """Give the order a new attempt; its work so far is kept first."""

    order: OrderSnapshot
    rule: Rule
    cause: Cause
    reason: str


class GiveUp(Struct, frozen=True):
    """No further attempt: the retries are spent."""

    order: OrderSnapshot
    rule: Rule
    cause: Cause
    reason: str


Decision = Enqueue | Reissue | GiveUp


def decide(order: OrderSnapshot, lease: Lease | None, now: datetime, limits: Thresholds) -> Decision | None:
    """Return what to do about one order now."""
    match order.phase:
        case OrderPhase.ENQUEUED:
            rounds = int((now - order.phase_since).total_seconds() // limits.unclaimed_seconds)
            return Enqueue(order, rounds) if rounds >= 1 else None
        case OrderPhase.CLAIMED | OrderPhase.RUNNING:
            if not _is_expired(order, lease, now, limits.lease_seconds):
                return None
            return _lost(order, lease, limits)
        case OrderPhase.ATTEMPT_FAILED:
            return _after_failure(order, now, "failed")
        case OrderPhase.REJECTED:
            return _after_failure(order, now, "rejected")
        case OrderPhase.COMPLETED if order.recovery is not None:
            return _after_invalid(order)
        case _:
            return None


def _is_expired(order: OrderSnapshot, lease: Lease | None, now: datetime, lease_seconds: int) -> bool:
    if lease is None or lease.attempt != order.attempt:
        return now > order.phase_since + timedelta(seconds=lease_seconds)
    return now > lease.expires_at


def _lost(order: OrderSnapshot, lease: Lease | None, limits: Thresholds) -> Decision:
    unit = lease.unit_id if lease is not None else order.unit_id
    reason = f"unit {unit} let its lease of attempt {order.attempt} run out"
    if len([end for end in order.history if end.cause is Cause.LOST_UNIT]) >= limits.lost_units_max:
        return GiveUp(
            order, "lost_unit", Cause.LOST_UNIT, f"{reason}; {limits.lost_units_max} units were lost before"
        )
    return Reissue(order, "lost_unit", Cause.LOST_UNIT, reason)


def _after_failure(order: OrderSnapshot, now: datetime, rule: Rule) -> Decision | None:
    last = order.history[-1]
    if last.cause is Cause.TASK:
        return _retry_or_give_up(order, rule, last)
    # Not the task's fault: try again for ever, more and more slowly; the run's deadline bounds it.
    failures = len([end for end in order.history if end.cause is not Cause.TASK])
    shortest, longest = _BACKOFF_SECONDS
    pause = min(shortest * 2 ** min(failures - 1, 10), longest)
    if now < order.phase_since + timedelta(seconds=pause):
        return None
    return Reissue(order, rule, last.cause, f"{last.cause}: {last.reason}"[:2000])


def _after_invalid(order: OrderSnapshot) -> Decision:
    reason = order.recovery or "invalid"
    ours = [end for end in _task_failures(order) if end.attempt != order.attempt]
    if len(ours) >= order.order.constraints.max_retries:
        return GiveUp(order, "invalid", Cause.TASK, _all_reasons([*(end.reason for end in ours), reason]))
    return Reissue(order, "invalid", Cause.TASK, reason)


def _retry_or_give_up(order: OrderSnapshot, rule: Rule, last: AttemptEnd) -> Decision:
    failures = _task_failures(order)
    if len(failures) > order.order.constraints.max_retries:
        return GiveUp(order, rule, Cause.TASK, _all_reasons([end.reason for end in failures]))
    return Reissue(order, rule, Cause.TASK, last.reason)


def _task_failures(order: OrderSnapshot) -> list[AttemptEnd]:
    """Return the attempts that count against the cap: a merge conflict is nobody's fault and does not."""
    return [end for end in order.history if end.cause is Cause.TASK and not end.conflicts]


def _all_reasons(reasons: list[str]) -> str:
    return f"retries spent after {len(reasons)} attempts: {' | '.join(reasons)}"[:2000]
