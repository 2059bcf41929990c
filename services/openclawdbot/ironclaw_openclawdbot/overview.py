"""What the command center shows, drawn from feed, dead letters and demand. Pure."""

from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from ironclaw_contracts.demand import Segment, Snapshot
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.milestones import Milestone

_STALE_FEED = timedelta(minutes=5)
_STALE_DEMAND = timedelta(minutes=10)
_RISK_NAMES = {"on-track": "onTrack", "at-risk": "atRisk", "blocked": "blocked", "completed": "completed"}


class FeedFigures(Struct, frozen=True):
    """What the overview is made of. `feed` is newest first; `accepted_at` is when the last one came in."""

    feed: list[Milestone]
    accepted_at: datetime | None
    dead_letters: int
    last_rejection: str | None
    followers: int


class ProofNode(Struct, frozen=True):
    """One station of the proof's way."""

    id: str
    label: str
    state: Literal["live", "warning", "idle"]
    detail: str


def is_stale(snapshot: Snapshot | None, now: datetime) -> bool:
    """Tell whether there is no demand summary, or only one that is more than 10 minutes old."""
    return snapshot is None or now - snapshot.at > _STALE_DEMAND


def overview(figures: FeedFigures, now: datetime) -> dict[str, Any]:
    """Return GET /api/command-center/overview."""
    feed = figures.feed
    stale = figures.accepted_at is None or now - figures.accepted_at > _STALE_FEED
    lanes = list(dict.fromkeys(milestone.scope.lower() for milestone in feed))
    risks = dict.fromkeys(_RISK_NAMES.values(), 0)
    for milestone in feed:
        risks[_RISK_NAMES[milestone.risk_status]] += 1
    return {
        "ok": True,
        "latest": feed[0] if feed else None,
        "stale": stale,
        "visibleFeedCount": len(feed),
        "evidenceCount": sum(len(milestone.evidence) for milestone in feed),
        "activeLaneCount": len(lanes),
        "activeLanes": lanes,
        "riskCounts": risks,
        "deadLetterCount": figures.dead_letters,
        "lastPollAt": format_instant(now),
        "realtimeChannel": "/api/milestones/stream",
        "proofNodes": proof_nodes(figures, stale),
    }


def proof_nodes(figures: FeedFigures, stale: bool) -> list[ProofNode]:
    """Return the six stations from the emitter to the screen."""
    never = figures.accepted_at is None
    moving: Literal["live", "warning", "idle"] = "idle" if never else "warning" if stale else "live"
    latest = figures.feed[0] if figures.feed else None
    blocked = latest is not None and latest.risk_status in {"blocked", "at-risk"}
    rejected = figures.last_rejection
    return [
        ProofNode("emit", "Emit", moving, "nothing came yet" if never else "stale" if stale else "coming in"),
        ProofNode(
            "verify",
            "Verify",
            "warning" if rejected else "idle" if never else "live",
            f"last rejection: {rejected}" if rejected else "every signature held",
        ),
        ProofNode("store", "Store", "idle" if never else "live", f"{len(figures.feed)} in the feed"),
        ProofNode(
            "canon",
            "Canon",
            "warning" if blocked else "idle" if never else "live",
            f"latest is {latest.risk_status}" if latest is not None else "no record yet",
        ),
        ProofNode(
            "broadcast",
            "Broadcast",
            "live" if figures.followers else "idle",
            f"{figures.followers} following",
        ),
        ProofNode("surface", "Surface", moving, f"{len(figures.feed)} visible"),
    ]


def demand_view(catalogue: list[Segment], snapshot: Snapshot | None, now: datetime) -> dict[str, Any]:
    """Return GET /api/command-center/demand: the catalogue joined with the newest summary by id."""
    live = {segment.id: segment for segment in snapshot.segments} if snapshot is not None else {}
    segments = [
        Segment(
            id=entry.id,
            label=entry.label,
            live_signal_count=live[entry.id].live_signal_count if entry.id in live else 0,
            state=live[entry.id].state if entry.id in live else "idle",
            static_weight=entry.static_weight,
            cluster_labels=entry.cluster_labels,
        )
        for entry in catalogue
    ]
    stale = is_stale(snapshot, now)
    top = min(segments, key=lambda s: (-s.live_signal_count, -s.static_weight, s.label)) if segments else None
    hot = sum(segment.state == "hot" for segment in segments)
    pillars = snapshot.top_pillars if snapshot is not None else []
    return {
        "ok": True,
        "segments": segments,
        "summary": {
            "totalSegments": len(segments),
            "hotSegments": hot,
            "demandNarrative": _narrative(top, hot, snapshot, stale),
            "topSegmentLabel": top.label if top is not None else None,
            "topPillarLabel": pillars[0].label if pillars else None,
            "stale": stale,
            "source": "fallback" if snapshot is None else "stale" if stale else "live",
            "snapshotGeneratedAt": snapshot.generated_at_utc if snapshot is not None else None,
            "queueTotal": snapshot.queue_total if snapshot is not None else 0,
            "draftTotal": snapshot.draft_total if snapshot is not None else 0,
            "selectedForDraftTotal": snapshot.selected_for_draft_total if snapshot is not None else 0,
        },
    }


def _narrative(top: Segment | None, hot: int, snapshot: Snapshot | None, stale: bool) -> str:
    if snapshot is None or top is None:
        return "No demand summary has come in; the segments are the catalogue's."
    age = " The summary is more than ten minutes old." if stale else ""
    if top.live_signal_count == 0:
        return f"{snapshot.queue_total} queued; no segment of the catalogue has live signals.{age}"
    return (
        f"{top.label} leads with {top.live_signal_count} live signals; {hot} of the segments are hot,"
        f" {snapshot.queue_total} queued and {snapshot.draft_total} under way.{age}"
    )
