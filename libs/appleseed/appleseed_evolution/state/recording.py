"""Recording what came in: raw evidence first, in one step that is durable whole or not at all."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from appleseed_evolution.contract import (
    Envelope,
    Feedback,
    ProjectedFeedbackRecord,
    envelope_to_json,
    to_json,
)
from appleseed_evolution.fields import shown
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.projection import project
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.files import sha256, write_atomically
from ironclaw_contracts.errors import BadRequest


class Recorded(Struct, frozen=True):
    """What a payload added; `skipped` counts what was stored before."""

    envelopes: tuple[Envelope, ...]
    projected: tuple[ProjectedFeedbackRecord, ...]
    skipped_envelopes: int = 0
    skipped_projections: int = 0


def record_payload(
    state: StateDirectory,
    payload: bytes,
    envelopes: Sequence[Envelope],
    *,
    now: datetime,
    projected: Sequence[ProjectedFeedbackRecord] = (),
) -> Recorded:
    """Store the envelopes that are not stored yet, with what they project to, and the bytes they came in.

    `projected` are records that came along with ids of their own. On return everything is durable; after a
    crash or an `OSError` either nothing is stored, or the next writer completes it. Raises `BadRequest` when
    such an id is already that of another envelope's record.
    """
    with state.locked():
        found = _news(state, envelopes, projected, now)
        digest = sha256(payload)
        kept = state.received / f"{digest}.json"
        is_new_payload = not kept.exists()
        if is_new_payload:
            write_atomically(kept, payload)
        if is_new_payload or found.envelopes or found.projected:
            stored = [envelope_to_json(envelope) for envelope in found.envelopes]
            records = [to_json(record) for record in found.projected]
            state.journal.append([_journal_line(digest, payload, envelopes, stored, records, now)])
            state.envelopes.append(stored)
            state.projected_feedback.append(records)
    return found


def record_feedback(state: StateDirectory, feedback: Feedback, *, now: datetime) -> None:
    """Store feedback that an operator gave directly."""
    record_event(state, "feedback_recorded", to_json(feedback), now=now)


def record_event(state: StateDirectory, event_type: str, payload: JsonObject, *, now: datetime) -> None:
    """Append one event of our own to the events ledger."""
    with state.locked():
        state.events.append([{"timestamp": now.isoformat(), "event_type": event_type, "payload": payload}])


def _news(
    state: StateDirectory,
    envelopes: Sequence[Envelope],
    projected: Sequence[ProjectedFeedbackRecord],
    now: datetime,
) -> Recorded:
    """Return which envelopes and records the ledgers lack. Of two with one id the first counts."""
    known, projected_ids = state.index.envelope_ids, state.index.projected_envelope_ids
    fresh: dict[str, Envelope] = {}
    for envelope in envelopes:
        if envelope.envelope_id not in known:
            fresh.setdefault(envelope.envelope_id, envelope)
    records: dict[str, ProjectedFeedbackRecord] = {}
    taken = {record.projection_id: record.source_envelope_id for record in reversed(projected)}
    for record in projected:
        if record.source_envelope_id in projected_ids:
            continue
        if (
            record.projection_id in state.index.projection_ids
            or taken[record.projection_id] != record.source_envelope_id
        ):
            raise BadRequest(
                f"projection_id {shown(record.projection_id)} is that of another envelope's feedback"
            )
        records.setdefault(record.source_envelope_id, record)
    for envelope in fresh.values():
        record = project(envelope, now=now)
        if record is not None:
            records.setdefault(record.source_envelope_id, record)
    return Recorded(
        envelopes=tuple(fresh.values()),
        projected=tuple(records.values()),
        skipped_envelopes=len(envelopes) - len(fresh),
        skipped_projections=sum(
            1 for record in projected if records.get(record.source_envelope_id) is not record
        ),
    )


def _journal_line(
    digest: str,
    payload: bytes,
    envelopes: Sequence[Envelope],
    stored: list[JsonObject],
    records: list[JsonObject],
    now: datetime,
) -> JsonObject:
    return {
        "received_at": now.isoformat(),
        "payload_sha256": digest,
        "payload_bytes": len(payload),
        "envelope_ids": [envelope.envelope_id for envelope in envelopes],
        "envelopes": stored,
        "projected_feedback": records,
    }
