"""The state machine of runs and orders, in one table; the ledger enforces it on append.

A row says from which phases an event is legal and where it leads; `None` as target keeps the phase.
Conditions that a phase alone cannot express (dependencies merged, lease expired) are the ledger's guards.
"""

from msgspec import Struct

from ironclaw_contracts.enums import OrderPhase as P
from ironclaw_contracts.enums import OrderStatus, RunStatus
from ironclaw_contracts.events import EventType as E

TERMINAL_PHASES = frozenset({P.INTEGRATED, P.FAILED, P.CANCELLED})
OPEN_PHASES = frozenset(P) - TERMINAL_PHASES

STATUS_OF_PHASE: dict[P, OrderStatus] = {
    P.PLANNED: OrderStatus.QUEUED,
    P.ENQUEUED: OrderStatus.QUEUED,
    P.CLAIMED: OrderStatus.CLAIMED,
    P.RUNNING: OrderStatus.RUNNING,
    P.COMPLETED: OrderStatus.COMPLETED,
    P.READY: OrderStatus.COMPLETED,
    P.INTEGRATING: OrderStatus.COMPLETED,
    P.GATED: OrderStatus.COMPLETED,
    P.HELD: OrderStatus.COMPLETED,
    P.REJECTED: OrderStatus.COMPLETED,
    P.BLOCKED: OrderStatus.BLOCKED,
    P.ATTEMPT_FAILED: OrderStatus.FAILED,
    P.INTEGRATED: OrderStatus.COMPLETED,
    P.FAILED: OrderStatus.FAILED,
    P.CANCELLED: OrderStatus.CANCELLED,
}
"""The seed's coarse status of each phase."""


class Transition(Struct, frozen=True):
    """One row: the phases an event may meet and the phase it leads to (`None`: unchanged)."""

    sources: frozenset[P]
    target: P | None


def _row(target: P | None, *sources: P) -> Transition:
    return Transition(sources=frozenset(sources), target=target)


_IN_HAND = (P.CLAIMED, P.RUNNING)
_CANCELLABLE = OPEN_PHASES - {P.GATED}  # once gated, the promotion may already have happened
_ADOPTABLE = (
    *(P.PLANNED, P.ENQUEUED, P.CLAIMED, P.RUNNING, P.COMPLETED),
    *(P.ATTEMPT_FAILED, P.REJECTED, P.BLOCKED),
)
"""What is further is about to be merged itself."""

ORDER_TRANSITIONS: dict[E, Transition] = {
    E.ORDER_ENQUEUED: _row(P.ENQUEUED, P.PLANNED),
    E.ORDER_CLAIMED: _row(P.CLAIMED, P.ENQUEUED),
    E.ORDER_STARTED: _row(P.RUNNING, P.CLAIMED),
    E.ARTIFACT_WRITTEN: _row(None, P.RUNNING),
    E.AAR_WRITTEN: _row(None, P.RUNNING),
    E.ORDER_COMPLETED: _row(P.COMPLETED, P.RUNNING),
    E.ORDER_FAILED: _row(P.ATTEMPT_FAILED, *_IN_HAND, P.COMPLETED, P.REJECTED, P.ATTEMPT_FAILED, P.BLOCKED),
    E.ORDER_BLOCKED: _row(P.BLOCKED, P.RUNNING, P.INTEGRATING, P.REJECTED),
    E.ORDER_REISSUED: _row(P.PLANNED, *_IN_HAND, P.COMPLETED, P.ATTEMPT_FAILED, P.REJECTED, P.BLOCKED),
    E.ORDER_ADOPTED: _row(P.COMPLETED, *_ADOPTABLE),
    E.ORDER_CANCELLED: _row(P.CANCELLED, *_CANCELLABLE),
    E.WORKTREE_CREATED: _row(None, P.PLANNED),
    E.WORKTREE_READY: _row(None, P.PLANNED),
    E.WORKTREE_ARCHIVED: _row(None, *P),
    E.WORKTREE_REMOVED: _row(None, *P),
    E.INTEGRATION_READY: _row(P.READY, P.COMPLETED),
    E.INTEGRATION_STARTED: _row(P.INTEGRATING, P.READY, P.INTEGRATING, P.GATED, P.HELD),
    E.INTEGRATION_PASSED: _row(P.GATED, P.INTEGRATING),
    E.INTEGRATION_FAILED: _row(P.REJECTED, P.INTEGRATING, P.GATED),
    E.INTEGRATED: _row(P.INTEGRATED, P.GATED),
    E.RECOVERY_REQUIRED: _row(None, *OPEN_PHASES),
    E.RECOVERY_STARTED: _row(None, *P),
    E.RECOVERY_COMPLETED: _row(None, *P),
}
"""Event type → row. `ORDER_FAILED` with `final` leads to FAILED, `INTEGRATION_FAILED` with `hold` to HELD."""

FENCED = frozenset(ORDER_TRANSITIONS) - {
    E.WORKTREE_ARCHIVED,
    E.WORKTREE_REMOVED,
    E.RECOVERY_STARTED,
    E.RECOVERY_COMPLETED,
    E.ORDER_REISSUED,
    E.ORDER_ADOPTED,
}
"""Events that must carry the order's current attempt. The others concern superseded attempts too."""

RUN_TRANSITIONS: dict[E, RunStatus | None] = {
    E.RUN_UPDATED: None,
    E.RUN_COMPLETED: RunStatus.COMPLETE,
    E.RUN_FAILED: RunStatus.FAILED,
    E.RUN_CANCELLED: RunStatus.CANCELLED,
}
"""All legal only while OPEN; the ending ones only when every order of the run is terminal."""
