"""Inspection: each raw envelope beside what it was projected to, so that the evidence path can be checked."""

from collections import deque
from collections.abc import Iterable

from appleseed_evolution.jsontext import JsonObject


def audit(
    envelopes: Iterable[JsonObject],
    projections: Iterable[JsonObject],
    receipts: Iterable[JsonObject],
    *,
    session_id: str | None,
    limit: int,
) -> JsonObject:
    """Return the audit of all sessions or one: counts over all, records for the last `limit` envelopes.

    `receipts` are the lines of the intake journal, which say in what payload each envelope was received.
    """
    projected = {
        str(record.get("source_envelope_id")): record
        for record in projections
        if session_id is None or _member(record, "feedback", "session_id") == session_id
    }
    shown: deque[JsonObject] = deque(maxlen=limit)
    raw_count = raw_only_count = 0
    for envelope in envelopes:
        if session_id is not None and _member(envelope, "event", "session_id") != session_id:
            continue
        raw_count += 1
        raw_only_count += str(envelope.get("envelope_id")) not in projected
        shown.append(envelope)
    wanted = {str(envelope.get("envelope_id")) for envelope in shown}
    received: dict[str, str] = {}
    for receipt in receipts:
        for envelope_id in wanted.intersection(map(str, receipt.get("envelope_ids", []))):
            received.setdefault(envelope_id, str(receipt.get("payload_sha256")))
    return {
        "summary": {
            "session_filter": session_id,
            "raw_envelopes": raw_count,
            "displayed_raw_envelopes": len(shown),
            "projected_feedback_records": len(projected),
            "raw_only_envelopes": raw_only_count,
        },
        "audit_records": [_row(envelope, projected, received) for envelope in shown],
    }


def _row(envelope: JsonObject, projected: dict[str, JsonObject], received: dict[str, str]) -> JsonObject:
    envelope_id = str(envelope.get("envelope_id"))
    record = projected.get(envelope_id)
    return {
        "envelope_id": envelope.get("envelope_id"),
        "session_id": _member(envelope, "event", "session_id"),
        "task": _member(envelope, "event", "task"),
        "source": envelope.get("source"),
        "event_kind": _member(envelope, "event", "event_kind"),
        "recorded_at": envelope.get("recorded_at"),
        "projection_status": "raw_only" if record is None else "projected",
        "received_payload_sha256": received.get(envelope_id),
        "raw_envelope": envelope,
        "projected_feedback": record,
    }


def _member(value: JsonObject, outer: str, inner: str) -> object:
    found = value.get(outer)
    return found.get(inner) if isinstance(found, dict) else None
