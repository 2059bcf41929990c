"""The demand summary of the fleet's own queue. Pure."""

from collections import Counter
from datetime import datetime, timedelta

from ironclaw_contracts.demand import Ranked, Segment, Snapshot, TagCounts
from ironclaw_contracts.enums import OrderPhase as P
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.snapshots import OrderSnapshot

_QUEUED = frozenset({P.PLANNED, P.ENQUEUED})
_REVIEW = frozenset({P.HELD, P.BLOCKED})
_ALWAYS = ("draft", "summarize")
_HOT = 5
_EVERY = timedelta(seconds=60)
_CHANGE_SHARE = 0.1
_TOP = 5


def summary(orders: list[OrderSnapshot], now: datetime, garrison_id: str) -> Snapshot:
    """Return the summary of the open orders."""
    types = Counter(order.order.type for order in orders)
    theaters = Counter(order.theater_id for order in orders)
    under_way = sum(order.phase is P.RUNNING for order in orders)
    claimed = sum(order.phase is P.CLAIMED for order in orders)
    at = format_instant(now)
    return Snapshot(
        summary_id=f"demand.{garrison_id}.{at}",
        generated_at_utc=at,
        source="orchestrator",
        queue_total=sum(order.phase in _QUEUED for order in orders),
        draft_total=under_way,
        selected_for_draft_total=claimed,
        tag_counts=TagCounts(
            draft=under_way + claimed, priority=0, manual_review=sum(o.phase in _REVIEW for o in orders)
        ),
        top_pillars=_ranked(theaters),
        top_keyword_clusters=_ranked(types),
        segments=[_segment(kind, types[kind]) for kind in sorted({*types, *_ALWAYS})],
    )


def is_due(last: Snapshot | None, new: Snapshot, now: datetime) -> bool:
    """Tell whether a summary is to be sent: every minute, and when the queue changed by more than a tenth."""
    if last is None or now - last.at >= _EVERY:
        return True
    change = abs(new.queue_total - last.queue_total)
    return change > _CHANGE_SHARE * max(last.queue_total, 1)


def _ranked(counts: Counter[str]) -> list[Ranked]:
    return [Ranked(name, name.replace("_", " ").title(), count) for name, count in counts.most_common(_TOP)]


def _segment(kind: str, count: int) -> Segment:
    state = "hot" if count >= _HOT else "warm" if count else "idle"
    return Segment(kind, kind.replace("_", " ").title(), count, state, 1, [kind])
