"""Demand summaries: counters of an orchestrator's queue (contract: milestones and demand). Pure."""

import math
from datetime import datetime
from typing import Any, cast

from msgspec import Struct

from ironclaw_contracts.canonical_text import trim
from ironclaw_contracts.instants import parse_instant
from ironclaw_contracts.milestones import Malformed, check_sent_at, is_storable

INGEST_PATH = "/internal/demand/ingest"
STATES = ("hot", "warm", "idle")


class TagCounts(Struct, frozen=True, rename="camel"):
    draft: int
    priority: int
    manual_review: int


class Ranked(Struct, frozen=True):
    """A pillar or keyword cluster with how often it occurs."""

    id: str
    label: str
    count: int


class Segment(Struct, frozen=True, rename="camel"):
    """One segment of demand."""

    id: str
    label: str
    live_signal_count: int
    state: str
    static_weight: int
    cluster_labels: list[str]


class Snapshot(Struct, frozen=True, rename="camel"):
    """A demand summary as it is kept: counts floored, broken entries dropped."""

    summary_id: str
    generated_at_utc: str
    source: str
    queue_total: int
    draft_total: int
    selected_for_draft_total: int
    tag_counts: TagCounts
    top_pillars: list[Ranked]
    top_keyword_clusters: list[Ranked]
    segments: list[Segment]

    @property
    def at(self) -> datetime:
        """When the summary was made."""
        at = parse_instant(self.generated_at_utc)
        if at is None:
            raise ValueError(f"generatedAtUtc {self.generated_at_utc!r}")
        return at


def read_snapshot(envelope: dict[str, Any]) -> Snapshot:
    """Return the snapshot of an ingest envelope. Raises `Malformed` naming the field."""
    check_sent_at(envelope)
    given = envelope.get("snapshot")
    if not isinstance(given, dict):
        raise Malformed("snapshot")
    fields = cast("dict[str, Any]", given)
    summary_id, generated_at = fields.get("summaryId"), fields.get("generatedAtUtc")
    if not _is_text(summary_id):
        raise Malformed("summaryId")
    if parse_instant(generated_at) is None:
        raise Malformed("generatedAtUtc")
    if fields.get("source") != "orchestrator":
        raise Malformed("source")
    tags = fields.get("tagCounts")
    if not isinstance(tags, dict):
        raise Malformed("tagCounts")
    tag_counts = cast("dict[str, Any]", tags)
    segments = [_segment(entry) for entry in _entries(fields, "segments")]
    if not segments:
        raise Malformed("segments")
    return Snapshot(
        summary_id=trim(str(summary_id)),
        generated_at_utc=trim(str(generated_at)),
        source="orchestrator",
        queue_total=count(fields.get("queueTotal")),
        draft_total=count(fields.get("draftTotal")),
        selected_for_draft_total=count(fields.get("selectedForDraftTotal")),
        tag_counts=TagCounts(
            draft=count(tag_counts.get("draft")),
            priority=count(tag_counts.get("priority")),
            manual_review=count(tag_counts.get("manualReview")),
        ),
        top_pillars=_ranked(fields, "topPillars"),
        top_keyword_clusters=_ranked(fields, "topKeywordClusters"),
        segments=segments,
    )


def count(value: object) -> int:
    """Return a count: a finite number from 0 on is floored, anything else is 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return math.floor(value) if math.isfinite(value) and value >= 0 else 0


def _ranked(fields: dict[str, Any], name: str) -> list[Ranked]:
    return [Ranked(trim(e["id"]), trim(e["label"]), count(e.get("count"))) for e in _entries(fields, name)]


def _segment(entry: dict[str, Any]) -> Segment:
    labels = entry.get("clusterLabels")
    state = entry.get("state")
    return Segment(
        id=trim(entry["id"]),
        label=trim(entry["label"]),
        live_signal_count=count(entry.get("liveSignalCount")),
        state=state if state in STATES else "idle",
        static_weight=count(entry.get("staticWeight")),
        cluster_labels=[trim(label) for label in cast("list[Any]", labels) if _is_text(label)]
        if isinstance(labels, list)
        else [],
    )


def _entries(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the entries of a list that have an id and a label; the others are dropped."""
    listed = fields.get(name)
    if not isinstance(listed, list):
        return []
    entries = [cast("dict[str, Any]", e) for e in cast("list[Any]", listed) if isinstance(e, dict)]
    return [entry for entry in entries if _is_text(entry.get("id")) and _is_text(entry.get("label"))]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(trim(value)) and is_storable(value)
