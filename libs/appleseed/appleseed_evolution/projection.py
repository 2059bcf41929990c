"""Projection: which envelopes become evidence for evolution, and as what (contract: Projection Rules)."""

from datetime import datetime

from msgspec import UNSET

from appleseed_evolution.contract import Envelope, Feedback, ProjectedFeedbackRecord, ProjectionMetadata
from appleseed_evolution.naming import projection_id


def project(envelope: Envelope, *, now: datetime) -> ProjectedFeedbackRecord | None:
    """Return what an envelope projects to; None for a session's start, which stays raw evidence only."""
    event = envelope.event
    if event.event_kind != "session_feedback" or event.status is UNSET or event.score is UNSET:
        return None
    return ProjectedFeedbackRecord(
        projection_id=projection_id(envelope.envelope_id),
        source_contract=envelope.contract_name,
        source_contract_version=envelope.contract_version,
        source_envelope_id=envelope.envelope_id,
        source_event_id=event.event_id,
        source_event_kind=event.event_kind,
        projected_at=now.isoformat(),
        feedback=Feedback(
            session_id=event.session_id,
            task=event.task,
            status=event.status,
            score=event.score,
            comment=event.comment,
            steps=event.steps,
            selected_skill_ids=event.selected_skill_ids,
            missing_capabilities=event.missing_capabilities,
            metadata=event.metadata,
        ),
        projection_metadata=ProjectionMetadata(
            runtime_source=envelope.source,
            runtime_recorded_at=envelope.recorded_at,
            runtime_occurred_at=event.occurred_at,
            runtime_event_schema_version=event.schema_version,
            envelope_metadata=envelope.metadata,
        ),
    )
