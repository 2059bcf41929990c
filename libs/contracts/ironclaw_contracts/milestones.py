"""Milestones: the narrative proof that an orchestrator sends (seed: milestone ingest contract). Pure."""

import re
from datetime import datetime
from typing import Any, cast

from msgspec import UNSET, Struct, UnsetType

from ironclaw_contracts.canonical_text import trim
from ironclaw_contracts.instants import parse_instant

INGEST_PATH = "/internal/milestones/ingest"
RISKS = ("on-track", "at-risk", "blocked", "completed")
SOURCES = ("orchestrator", "agent", "operator")
_SURROGATE = re.compile("[\ud800-\udfff]")
EVIDENCE_TYPES = ("doc", "commit", "issue", "pr", "runbook", "metric", "log")


class Malformed(ValueError):
    """The record does not fit the contract; the message names the field."""


class Evidence(Struct, frozen=True):
    """Where a claim can be checked."""

    type: str
    path: str
    summary: str
    ref: str | UnsetType = UNSET


class Milestone(Struct, frozen=True, rename="camel"):
    """One event of the feed, its strings trimmed, in the contract's order of fields."""

    milestone_id: str
    timestamp_utc: str
    scope: str
    claim: str
    evidence: list[Evidence]
    risk_status: str
    next_action: str
    source: str = "orchestrator"

    @property
    def at(self) -> datetime:
        """The instant of the event."""
        at = parse_instant(self.timestamp_utc)
        if at is None:
            raise ValueError(f"timestampUtc {self.timestamp_utc!r}")
        return at


def read_milestone(envelope: dict[str, Any]) -> Milestone:
    """Return the event of an ingest envelope. Raises `Malformed` naming the field."""
    check_sent_at(envelope)
    event = envelope.get("event")
    if not isinstance(event, dict):
        raise Malformed("event")
    fields = cast("dict[str, Any]", event)
    timestamp = _text(fields, "timestampUtc")
    if parse_instant(timestamp) is None:
        raise Malformed("timestampUtc")
    risk = _text(fields, "riskStatus")
    if risk not in RISKS:
        raise Malformed("riskStatus")
    source = fields.get("source", "orchestrator")
    if source not in SOURCES:
        raise Malformed("source")
    evidence = fields.get("evidence")
    if not isinstance(evidence, list):
        raise Malformed("evidence")
    return Milestone(
        milestone_id=_text(fields, "milestoneId"),
        timestamp_utc=timestamp,
        scope=_text(fields, "scope"),
        claim=_text(fields, "claim"),
        evidence=[_evidence(item, n) for n, item in enumerate(cast("list[Any]", evidence))],
        risk_status=risk,
        next_action=_text(fields, "nextAction"),
        source=source,
    )


def check_sent_at(envelope: dict[str, Any]) -> None:
    """Raise `Malformed` when `sentAtUtc` is there and no instant."""
    if "sentAtUtc" in envelope and parse_instant(envelope["sentAtUtc"]) is None:
        raise Malformed("sentAtUtc")


def _evidence(item: object, position: int) -> Evidence:
    name = f"evidence[{position}]"
    if not isinstance(item, dict):
        raise Malformed(name)
    fields = cast("dict[str, Any]", item)
    kind, ref = fields.get("type"), fields.get("ref", UNSET)
    if kind not in EVIDENCE_TYPES:
        raise Malformed(f"{name}.type")
    if not isinstance(ref, str | UnsetType):
        raise Malformed(f"{name}.ref")
    return Evidence(
        type=kind,
        path=_text(fields, "path", name),
        summary=_text(fields, "summary", name),
        ref=_storable(trim(ref), f"{name}.ref") if isinstance(ref, str) else UNSET,
    )


def _text(fields: dict[str, Any], name: str, within: str = "") -> str:
    value = fields.get(name)
    shown = f"{within}.{name}" if within else name
    if not isinstance(value, str) or not trim(value):
        raise Malformed(shown)
    return _storable(trim(value), shown)


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can keep a text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and (text.isascii() or _SURROGATE.search(text) is None)


def _storable(text: str, name: str) -> str:
    if not is_storable(text):
        raise Malformed(f"{name}: a character that cannot be stored")
    return text
