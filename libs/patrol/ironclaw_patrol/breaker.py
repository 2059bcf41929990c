"""Circuit breakers: one for each cause that is not the task's fault. Pure; the time comes in.

While a breaker is open it holds every order that failed for its cause. After a pause it lets one through as a
probe. When the probe gets past the cause, the others follow a few at a time; when one of those meets the
cause again soon, the breaker opens again, and that is the same episode: a person hears of it once.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from ironclaw_contracts.enums import Cause, OrderPhase
from ironclaw_contracts.snapshots import OrderSnapshot

BREAKER_CAUSES = frozenset({Cause.PROVIDER_DOWN, Cause.QUOTA, Cause.AUTH, Cause.DISK, Cause.POLICY})
_ON_THE_WAY = frozenset({OrderPhase.PLANNED, OrderPhase.ENQUEUED, OrderPhase.CLAIMED, OrderPhase.RUNNING})
_ENDED = frozenset({OrderPhase.FAILED, OrderPhase.CANCELLED})


class BreakerLimits(Struct, frozen=True):
    """Pauses between probes grow from the first to the last figure, in seconds.

    `released_max` orders follow a successful probe at each look; `settle_seconds` without the cause end the
    episode.
    """

    pause_seconds: tuple[float, float] = (2.0, 60.0)
    released_max: int = 8
    settle_seconds: float = 300.0


class State(StrEnum):
    """Where a breaker stands."""

    OPEN = "open"
    PROBING = "probing"
    SETTLING = "settling"


class Breaker(Struct, frozen=True):
    """One episode of a cause. `probes_failed` in a row; `probe` is the order let through."""

    cause: Cause
    state: State
    opened_at: datetime
    due_at: datetime
    probes_failed: int = 0
    probe: str | None = None
    probe_attempt: int = 0


class Turn(Struct, frozen=True):
    """What a look at a breaker led to: its next state, and the orders to let go on.

    `opened` begins an episode, `degraded` and `recovered` are changes of what the cause stands for.
    """

    breaker: Breaker | None
    release: list[OrderSnapshot]
    opened: bool = False
    degraded: bool = False
    recovered: bool = False


def turn(
    breaker: Breaker | None,
    cause: Cause,
    held: list[OrderSnapshot],
    probe: OrderSnapshot | None,
    now: datetime,
    limits: BreakerLimits,
) -> Turn:
    """Look at the breaker of one cause.

    `held` are the orders that failed for it, `probe` is the present snapshot of the order let through.
    """
    waiting = sorted(held, key=lambda order: (order.phase_since, order.first_seq))
    if breaker is None:
        if not waiting:
            return Turn(None, [])
        opened_at = min(_began(order, cause) for order in waiting)
        due_at = now + timedelta(seconds=limits.pause_seconds[0])
        return Turn(Breaker(cause, State.OPEN, opened_at, due_at), [], opened=True, degraded=True)
    match breaker.state:
        case State.OPEN:
            return _open(breaker, waiting, now)
        case State.PROBING:
            return _probing(breaker, probe, waiting, now, limits)
        case State.SETTLING:
            return _settling(breaker, waiting, now, limits)


def _open(breaker: Breaker, waiting: list[OrderSnapshot], now: datetime) -> Turn:
    if not waiting:
        return Turn(None, [], recovered=True)  # all that it held was cancelled
    if now < breaker.due_at:
        return Turn(breaker, [])
    chosen = waiting[0]
    probing = replace(breaker, state=State.PROBING, probe=chosen.order_id, probe_attempt=chosen.attempt + 1)
    return Turn(probing, [chosen])


def _probing(
    breaker: Breaker,
    probe: OrderSnapshot | None,
    waiting: list[OrderSnapshot],
    now: datetime,
    limits: BreakerLimits,
) -> Turn:
    if probe is None or probe.phase in _ENDED or probe.attempt < breaker.probe_attempt:
        # Nothing was learnt: the probe was cancelled, or its reissue did not go through. Try another.
        return Turn(replace(breaker, state=State.OPEN, due_at=now, probe=None), [])
    if probe.phase in _ON_THE_WAY:
        return Turn(breaker, [])
    last = probe.history[-1] if probe.history else None
    ended = probe.phase is OrderPhase.ATTEMPT_FAILED and last is not None
    if ended and last is not None and last.cause is Cause.LOST_UNIT:
        return Turn(replace(breaker, state=State.OPEN, due_at=now, probe=None), [])
    if ended and last is not None and last.cause is breaker.cause:
        failed = breaker.probes_failed + 1
        shortest, longest = limits.pause_seconds
        due_at = now + timedelta(seconds=min(shortest * 2 ** min(failed, 20), longest))
        return Turn(replace(breaker, state=State.OPEN, due_at=due_at, probes_failed=failed, probe=None), [])
    settling = replace(
        breaker,
        state=State.SETTLING,
        due_at=now + timedelta(seconds=limits.settle_seconds),
        probes_failed=0,
        probe=None,
    )
    return Turn(settling, waiting[: limits.released_max], recovered=True)


def _settling(breaker: Breaker, waiting: list[OrderSnapshot], now: datetime, limits: BreakerLimits) -> Turn:
    settled_from = breaker.due_at - timedelta(seconds=limits.settle_seconds)
    if any(order.phase_since > settled_from for order in waiting):
        due_at = now + timedelta(seconds=limits.pause_seconds[0])
        return Turn(replace(breaker, state=State.OPEN, due_at=due_at), [], degraded=True)
    if waiting:
        return Turn(breaker, waiting[: limits.released_max])
    return Turn(breaker if now < breaker.due_at else None, [])


def _began(order: OrderSnapshot, cause: Cause) -> datetime:
    """Return when the order's present series of failures for this cause began."""
    began = order.phase_since
    for end in reversed(order.history):
        if end.cause is not cause:
            break
        began = end.ts
    return began
