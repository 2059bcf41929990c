"""The checks of a theater patrol. Pure: each looks at one order and says what is wrong, if anything.

A check reports; only some faults lead to an event, and none disturbs a unit whose lease is renewed or whose
worktree moves.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from ironclaw_contracts.enums import OrderPhase, WorktreeState
from ironclaw_contracts.snapshots import Lease, OrderSnapshot

IN_HAND = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
_MERGING = frozenset({OrderPhase.READY, OrderPhase.INTEGRATING, OrderPhase.GATED})


class Standing(Struct, frozen=True):
    """How an order's worktree stands; the times are None where it cannot be read."""

    exists: bool
    moved_at: datetime | None
    committed_at: datetime | None


class Sight(Struct, frozen=True):
    """One order as the patrol sees it. `standing` is None where nobody needed to look at its worktree."""

    order: OrderSnapshot
    lease: Lease | None
    standing: Standing | None
    now: datetime
    stuck_seconds: int


class Fault(Struct, frozen=True):
    """What a check says: `recover` asks the duty officer to act."""

    detail: str
    recover: bool = False


Check = Callable[[Sight], Fault | None]


def has_lease(order: OrderSnapshot, lease: Lease | None, now: datetime) -> bool:
    """Tell whether the unit of the present attempt has renewed its lease."""
    return lease is not None and lease.attempt == order.attempt and lease.expires_at > now


def needs_look(order: OrderSnapshot, lease: Lease | None, now: datetime, stuck_seconds: int) -> bool:
    """Tell whether the worktree has to be looked at: a unit that is silent, or at work for long."""
    if order.phase not in IN_HAND or order.worktree is None:
        return False
    return not has_lease(order, lease, now) or _since(order.phase_since, now, stuck_seconds)


def running_without_lease(sight: Sight) -> Fault | None:
    """A unit that lives renews its lease. Reported only: the duty officer suspects first."""
    if sight.order.phase not in IN_HAND or has_lease(sight.order, sight.lease, sight.now):
        return None
    return Fault(f"{sight.order.phase} and its lease " + ("has run out" if sight.lease else "is gone"))


def running_without_progress(sight: Sight) -> Fault | None:
    """No lease, no event, and a worktree that has not changed for long: every sign of life is absent."""
    order, standing = sight.order, sight.standing
    if order.phase not in IN_HAND or has_lease(order, sight.lease, sight.now):
        return None
    signs = [order.updated_at]
    signs += [standing.moved_at] if standing is not None and standing.moved_at is not None else []
    signs += [sight.lease.progressed_at] if sight.lease and sight.lease.progressed_at else []
    newest = max(signs)
    if not _since(newest, sight.now, sight.stuck_seconds):
        return None
    return Fault(f"{order.phase} without lease, and no sign of progress since {newest.isoformat()}", True)


def no_recent_commits(sight: Sight) -> Fault | None:
    """A unit at work for long commits as it goes. Reported only: its lease may well be alive."""
    standing = sight.standing
    if sight.order.phase is not OrderPhase.RUNNING or standing is None or standing.committed_at is None:
        return None
    if not _since(sight.order.phase_since, sight.now, sight.stuck_seconds):
        return None
    if not _since(standing.committed_at, sight.now, sight.stuck_seconds):
        return None
    return Fault(f"RUNNING since {sight.order.phase_since.isoformat()}, last commit {standing.committed_at}")


def completed_not_validated(sight: Sight) -> Fault | None:
    """A completed order is validated at once; one that was found invalid waits for the duty officer."""
    order = sight.order
    if order.phase is not OrderPhase.COMPLETED or order.recovery is not None or not _is_late(sight):
        return None
    return Fault(f"COMPLETED since {order.phase_since.isoformat()} and not validated")


def worktree_missing(sight: Sight) -> Fault | None:
    """An order that is worked on has its worktree."""
    worktree, standing = sight.order.worktree, sight.standing
    if worktree is None or worktree.state is not WorktreeState.READY or standing is None or standing.exists:
        return None
    abandoned = not has_lease(sight.order, sight.lease, sight.now)
    return Fault(f"the worktree {worktree.path} is gone", abandoned)


def ready_not_integrated(sight: Sight) -> Fault | None:
    """What is ready is merged before long."""
    if sight.order.phase not in _MERGING or not _is_late(sight):
        return None
    return Fault(f"{sight.order.phase} since {sight.order.phase_since.isoformat()}")


CHECKS: tuple[Check, ...] = (
    running_without_lease,
    running_without_progress,
    no_recent_commits,
    completed_not_validated,
    worktree_missing,
    ready_not_integrated,
)


def is_overdue(sight: Sight) -> bool:
    """Tell whether an order that should be merged has waited so long that a person should know."""
    return _since(sight.order.phase_since, sight.now, 3 * sight.stuck_seconds)


def stuck_after(profile: str, by_profile: dict[str, int], default_seconds: int) -> int:
    """Return after how many seconds an order of this profile is looked at."""
    return by_profile.get(profile, default_seconds)


def _is_late(sight: Sight) -> bool:
    return _since(sight.order.phase_since, sight.now, sight.stuck_seconds)


def _since(moment: datetime, now: datetime, seconds: int) -> bool:
    return now > moment + timedelta(seconds=seconds)
