"""The patrol's rules: from an order's snapshot, its lease and the time to one decision, or none. Pure.

A rule never takes an order from a unit whose lease lives; the ledger would refuse that anyway.
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from ironclaw_contracts.enums import Cause, OrderPhase
from ironclaw_contracts.snapshots import AttemptEnd, Lease, OrderSnapshot, is_plausible

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
"""The phases in which the patrol may be the next to move an order."""

IN_HAND = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
RECOVERABLE = frozenset(
    {*IN_HAND, OrderPhase.ATTEMPT_FAILED, OrderPhase.REJECTED, OrderPhase.BLOCKED, OrderPhase.COMPLETED}
)
_LOSSES_FREE = 2
_PAUSE_SECONDS = (2.0, 60.0)

Rule = Literal["unclaimed", "lost_unit", "failed", "rejected", "invalid", "operator"]


class Thresholds(Struct, frozen=True):
    """When the patrol acts, in seconds.

    `unclaimed_seconds`: how long a job may be missing from the queue. `suspect_seconds`: how long a unit that
    let its lease run out is only suspected.
    """

    unclaimed_seconds: int
    lease_seconds: int
    suspect_seconds: float


class Enqueue(Struct, frozen=True):
    """Put the job on the queue again; `round` makes the job's id new."""

    order: OrderSnapshot
    round: int
    since: datetime
    rule: Rule = "unclaimed"


class Suspect(Struct, frozen=True):
    """The lease has run out. Nothing is done before the second threshold (`suspicion`)."""

    order: OrderSnapshot
    silent_since: datetime
    reissue: "Reissue"


class Held(Struct, frozen=True):
    """The attempt failed for a cause that is not the task's: a breaker decides when the order goes on."""

    order: OrderSnapshot
    cause: Cause


class Reissue(Struct, frozen=True):
    """Give the order a new attempt; its work so far is kept first."""

    order: OrderSnapshot
    rule: Rule
    cause: Cause
    reason: str
    since: datetime


class GiveUp(Struct, frozen=True):
    """No further attempt: the retries are spent."""

    order: OrderSnapshot
    rule: Rule
    cause: Cause
    reason: str
    since: datetime


Decision = Enqueue | Suspect | Held | Reissue | GiveUp


def decide(order: OrderSnapshot, lease: Lease | None, now: datetime, limits: Thresholds) -> Decision | None:
    """Return what to do about one order now."""
    match order.phase:
        case OrderPhase.ENQUEUED:
            rounds = int((now - order.phase_since).total_seconds() // limits.unclaimed_seconds)
            return Enqueue(order, rounds, order.phase_since) if rounds >= 1 else None
        case OrderPhase.CLAIMED | OrderPhase.RUNNING:
            return _in_hand(order, lease, now, limits)
        case OrderPhase.ATTEMPT_FAILED:
            return _after_failure(order, now, "failed")
        case OrderPhase.REJECTED:
            return _after_failure(order, now, "rejected")
        case OrderPhase.COMPLETED if order.recovery is not None:
            return _after_invalid(order)
        case _:
            return None


def is_silent(
    suspect: Suspect, moved_at: datetime | None, now: datetime, limits: Thresholds, lease: Lease | None
) -> bool:
    """Tell whether every sign of life has been absent for the second threshold.

    A worktree that moves speaks for the unit, but not past its budget: a stray process could go on moving it.
    """
    order = suspect.order
    budget = timedelta(seconds=order.order.constraints.budget_seconds + 2 * limits.lease_seconds)
    signs = [suspect.silent_since]
    if now < order.phase_since + budget:
        signs += [moved_at] if moved_at is not None else []
        signs += [lease.progressed_at] if lease is not None and lease.progressed_at is not None else []
    return now > max(signs) + timedelta(seconds=limits.suspect_seconds)


def by_operator(order: OrderSnapshot, now: datetime) -> Reissue | None:
    """Return the reissue that an operator asked for; None where there is nothing to recover."""
    if order.phase not in RECOVERABLE or (order.phase is OrderPhase.COMPLETED and order.recovery is None):
        return None
    last = order.history[-1] if order.history else None
    cause = last.cause if last is not None and last.attempt == order.attempt else Cause.LOST_UNIT
    return Reissue(order, "operator", cause, "an operator asked for it", now)


def losses(order: OrderSnapshot) -> int:
    """Return how many units the order has cost."""
    return len([end for end in order.history if end.cause is Cause.LOST_UNIT])


def _in_hand(order: OrderSnapshot, lease: Lease | None, now: datetime, limits: Thresholds) -> Suspect | None:
    if lease is None or lease.attempt != order.attempt:
        silent_since = order.phase_since + timedelta(seconds=limits.lease_seconds)
        unit = order.unit_id
    else:
        silent_since, unit = lease.expires_at, lease.unit_id
    if now <= silent_since and (lease is None or is_plausible(lease, now)):
        return None
    reason = f"unit {unit} let its lease of attempt {order.attempt} run out"
    since = min(silent_since, now)
    return Suspect(order, since, Reissue(order, "lost_unit", Cause.LOST_UNIT, reason, since))


def _after_failure(order: OrderSnapshot, now: datetime, rule: Rule) -> Decision | None:
    last = order.history[-1]
    match last.cause:
        case Cause.TASK:
            return _retry_or_give_up(order, rule, last)
        case Cause.LOST_UNIT:
            # Units that go one after another on the same order may be its doing: each time a longer pause.
            shortest, longest = _PAUSE_SECONDS
            excess = losses(order) - _LOSSES_FREE
            pause = min(shortest * 2 ** min(excess - 1, 10), longest) if excess > 0 else 0.0
            if now < order.phase_since + timedelta(seconds=pause):
                return None
            return Reissue(order, rule, last.cause, f"lost unit: {last.reason}"[:2000], last.ts)
        case cause:
            return Held(order, cause)


def _after_invalid(order: OrderSnapshot) -> Decision:
    reason, since = order.recovery or "invalid", order.phase_since
    ours = [end for end in _task_failures(order) if end.attempt != order.attempt]
    if len(ours) >= order.order.constraints.max_retries:
        reasons = _all_reasons([*(end.reason for end in ours), reason])
        return GiveUp(order, "invalid", Cause.TASK, reasons, since)
    return Reissue(order, "invalid", Cause.TASK, reason, since)


def _retry_or_give_up(order: OrderSnapshot, rule: Rule, last: AttemptEnd) -> Decision:
    failures = _task_failures(order)
    if len(failures) > order.order.constraints.max_retries:
        return GiveUp(order, rule, Cause.TASK, _all_reasons([end.reason for end in failures]), last.ts)
    return Reissue(order, rule, Cause.TASK, last.reason, last.ts)


def _task_failures(order: OrderSnapshot) -> list[AttemptEnd]:
    """Return the attempts that count against the cap: a merge conflict is nobody's fault and does not."""
    return [end for end in order.history if end.cause is Cause.TASK and not end.conflicts]


def _all_reasons(reasons: list[str]) -> str:
    return f"retries spent after {len(reasons)} attempts: {' | '.join(reasons)}"[:2000]
