"""What the patrol's record says about the duty officer. Pure: ticks, recoveries and the time come in."""

from datetime import datetime, timedelta

from msgspec import Struct

from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import TERMINAL_PHASES

_NOT_TAKEN_UP = frozenset({OrderPhase.PLANNED, OrderPhase.ENQUEUED})
_TICKS_MIN = 3


class AuditLimits(Struct, frozen=True):
    """From when on something is a concern. `reissues_max` counts attempts of one order beyond the first."""

    tick_age_seconds_max: float
    backlog_per_minute_max: float
    recovery_seconds_max: float
    reissues_max: int


class Tick(Struct, frozen=True):
    """One PATROL_TICK: when, by whom, and how many orders were open."""

    at: datetime
    source: str
    backlog: float

    @classmethod
    def of(cls, event: Event) -> "Tick":
        """Read a tick from its event."""
        figures = event.payload.get("figures") or {}
        return cls(event.ts, event.source, float(figures.get("backlog", 0)))


class Found(Struct, frozen=True):
    """A concern before it is an escalation; `episode` tells one occurrence from the next."""

    check: str
    severity: Severity
    reason: str
    episode: str


def backlog_per_minute(ticks: list[Tick]) -> float | None:
    """Return the slope of the backlog by least squares, in orders a minute; None with too few ticks.

    Two points would take every burst for a trend.
    """
    if len(ticks) < _TICKS_MIN:
        return None
    times = [(tick.at - ticks[0].at).total_seconds() / 60 for tick in ticks]
    mean_time = sum(times) / len(times)
    mean_backlog = sum(tick.backlog for tick in ticks) / len(ticks)
    spread = sum((time - mean_time) ** 2 for time in times)
    if spread == 0:
        return None
    joint = sum(
        (time - mean_time) * (tick.backlog - mean_backlog) for time, tick in zip(times, ticks, strict=True)
    )
    return joint / spread


def unfinished(
    order: OrderSnapshot, recovered_attempt: int, since: datetime, now: datetime, seconds: float
) -> bool:
    """Tell whether a recovery was begun and nothing came of it: nobody works on the order's next attempt."""
    if order.phase in TERMINAL_PHASES or order.attempt > recovered_attempt + 1:
        return False
    taken_up = order.attempt == recovered_attempt + 1 and order.phase not in _NOT_TAKEN_UP
    return not taken_up and now > since + timedelta(seconds=seconds)


def is_loop(order: OrderSnapshot, limits: AuditLimits) -> bool:
    """Tell whether an open order is reissued again and again."""
    return order.phase not in TERMINAL_PHASES and order.attempt - 1 > limits.reissues_max


def concerns(
    ticks: list[Tick],
    started_at: datetime,
    unfinished_recoveries: list[str],
    loops: list[str],
    now: datetime,
    limits: AuditLimits,
) -> list[Found]:
    """Return what a person should know. `started_at` stands in for a tick while there has been none."""
    found: list[Found] = []
    last = ticks[-1].at if ticks else started_at
    age = (now - last).total_seconds()
    if age > limits.tick_age_seconds_max:
        allowed = f"{limits.tick_age_seconds_max:g} s are allowed"
        reason = f"no patrol for {age:.0f} s ({allowed}): the duty officer is dead"
        found.append(Found("tick_age", Severity.CRITICAL, reason, last.isoformat()))
    slope = backlog_per_minute(ticks)
    if slope is not None and slope > limits.backlog_per_minute_max and ticks[-1].backlog > ticks[0].backlog:
        reason = (
            f"the backlog grows by {slope:.1f} orders a minute, {ticks[-1].backlog:.0f} are open:"
            " add workers, or see what holds them (ironclaw why)"
        )
        found.append(Found("backlog", Severity.HIGH, reason, f"{now:%Y-%m-%dT%H}"))
    if unfinished_recoveries:
        listed = ", ".join(unfinished_recoveries[:5])
        reason = (
            f"{len(unfinished_recoveries)} recoveries were begun and did not recover: {listed}:"
            " the duty officer is ineffective"
        )
        found.append(Found("recoveries", Severity.CRITICAL, reason, unfinished_recoveries[0]))
    for order_id in loops:
        reason = f"order {order_id} was reissued more than {limits.reissues_max} times and has not ended"
        found.append(Found("reissue_loop", Severity.CRITICAL, reason, order_id))
    return found
