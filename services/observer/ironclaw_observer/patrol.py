"""The checks of a theater patrol. Pure: each looks at one order and says what is wrong, if anything."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import PurePath

from msgspec import Struct

from ironclaw_contracts.endpoints.observer import Finding
from ironclaw_contracts.enums import OrderPhase, WorktreeState
from ironclaw_contracts.snapshots import Lease, OrderSnapshot

_IN_HAND = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
_MERGING = frozenset({OrderPhase.READY, OrderPhase.INTEGRATING, OrderPhase.GATED})


class Sight(Struct, frozen=True):
    """One order as the patrol sees it. `worktree_exists` is None where the order has none."""

    order: OrderSnapshot
    lease: Lease | None
    worktree_exists: bool | None
    now: datetime
    stuck_seconds: int


Check = Callable[[Sight], str | None]


def running_without_lease(sight: Sight) -> str | None:
    """A unit that lives renews its lease."""
    lease = sight.lease
    if sight.order.phase not in _IN_HAND or (lease is not None and lease.expires_at > sight.now):
        return None
    return f"{sight.order.phase} and its lease " + ("has run out" if lease else "is gone")


def completed_not_validated(sight: Sight) -> str | None:
    """A completed order is validated at once; one that was found invalid waits for the duty officer."""
    order = sight.order
    if order.phase is not OrderPhase.COMPLETED or order.recovery is not None or not _is_late(sight):
        return None
    return f"COMPLETED since {order.phase_since.isoformat()} and not validated"


def ready_not_integrated(sight: Sight) -> str | None:
    """What is ready is merged before long."""
    if sight.order.phase not in _MERGING or not _is_late(sight):
        return None
    return f"{sight.order.phase} since {sight.order.phase_since.isoformat()}"


def worktree_missing(sight: Sight) -> str | None:
    """An order that is worked on has its worktree."""
    worktree = sight.order.worktree
    if worktree is None or worktree.state is not WorktreeState.READY or sight.worktree_exists is not False:
        return None
    return f"the worktree {worktree.path} is gone"


CHECKS: tuple[Check, ...] = (
    running_without_lease,
    completed_not_validated,
    ready_not_integrated,
    worktree_missing,
)


def inspect(sights: list[Sight]) -> list[Finding]:
    """Return what the checks find, order by order."""
    return [
        Finding(check=check.__name__, order_id=sight.order.order_id, detail=detail, event=None, evidence={})
        for sight in sights
        for check in CHECKS
        if (detail := check(sight)) is not None
    ]


def orphans(folders: list[str], orders: list[OrderSnapshot]) -> list[Finding]:
    """Return the worktree folders that belong to no open order."""
    known = {PurePath(order.worktree.path).name for order in orders if order.worktree is not None}
    return [
        Finding(
            check="orphan_worktree",
            order_id=None,
            detail=f"worktree {name} has no open order",
            event=None,
            evidence={},
        )
        for name in folders
        if name not in known
    ]


def _is_late(sight: Sight) -> bool:
    return sight.now > sight.order.phase_since + timedelta(seconds=sight.stuck_seconds)
