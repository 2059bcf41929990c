"""Adaptation: an operator artifact into the envelopes of its session; the same in, the same out."""

from collections.abc import Iterable

from msgspec import UNSET

from appleseed_evolution.contract import (
    CONTRACT_NAME,
    CONTRACT_VERSION,
    SCHEMA_VERSION,
    Envelope,
    Event,
    EventKind,
)
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.naming import artifact_id
from appleseed_evolution.openclaw.artifact import (
    ARTIFACT_KIND,
    ARTIFACT_VERSION,
    Handoff,
    OperatorArtifact,
)


def adapt(artifact: OperatorArtifact) -> tuple[Envelope, ...]:
    """Return a `session_started` envelope, and a `session_feedback` one when the session has an outcome."""
    started = _envelope(artifact, _event(artifact, "session_started", artifact.started_at))
    if artifact.outcome is None:
        return (started,)
    return (started, _envelope(artifact, _event(artifact, "session_feedback", artifact.outcome.occurred_at)))


def all_skills(artifact: OperatorArtifact) -> tuple[str, ...]:
    """Return the skills of the session, its checkpoints and its outcome, each once, in order."""
    outcome = artifact.outcome.selected_skill_ids if artifact.outcome else ()
    return _union((artifact.selected_skill_ids, *(c.selected_skill_ids for c in artifact.timeline), outcome))


def all_missing_capabilities(artifact: OperatorArtifact) -> tuple[str, ...]:
    """Return what the session, its checkpoints and its outcome lacked, each once, in order."""
    outcome = artifact.outcome.missing_capabilities if artifact.outcome else ()
    return _union(
        (artifact.missing_capabilities, *(c.missing_capabilities for c in artifact.timeline), outcome)
    )


def _envelope(artifact: OperatorArtifact, event: Event) -> Envelope:
    last = artifact.last_checkpoint
    adapter = present(
        {
            "artifact_kind": ARTIFACT_KIND,
            "artifact_schema_version": ARTIFACT_VERSION,
            "artifact_recorded_at": artifact.recorded_at,
            "operator": artifact.operator,
            "checkpoint_count": len(artifact.timeline),
            "last_checkpoint_id": last.checkpoint_id if last else None,
            "handoff_summary": artifact.handoff.summary,
            "handoff_next_action": artifact.handoff.next_action,
        }
    )
    return Envelope(
        contract_name=CONTRACT_NAME,
        contract_version=CONTRACT_VERSION,
        envelope_id=artifact_id(artifact.given, event.event_kind, "envelope"),
        recorded_at=artifact.recorded_at,
        source=artifact.source,
        metadata={**artifact.metadata, "openclaw_adapter": adapter},
        event=event,
    )


def _event(artifact: OperatorArtifact, kind: EventKind, occurred_at: str) -> Event:
    outcome = artifact.outcome if kind == "session_feedback" else None
    return Event(
        schema_version=SCHEMA_VERSION,
        event_id=artifact_id(artifact.given, kind, "event"),
        event_kind=kind,
        occurred_at=occurred_at,
        session_id=artifact.session_id,
        task=artifact.task,
        status=outcome.status if outcome else UNSET,
        score=outcome.score if outcome else UNSET,
        comment=outcome.comment if outcome and outcome.comment is not None else UNSET,
        steps=tuple(checkpoint.step for checkpoint in artifact.timeline),
        selected_skill_ids=all_skills(artifact),
        missing_capabilities=all_missing_capabilities(artifact),
        metadata=_event_metadata(artifact, outcome.metadata if outcome else {}),
    )


def _event_metadata(artifact: OperatorArtifact, outcome_metadata: JsonObject) -> JsonObject:
    last = artifact.last_checkpoint
    return present(
        {
            "operator": artifact.operator,
            "artifact_recorded_at": artifact.recorded_at,
            "checkpoint_timeline": [checkpoint.given for checkpoint in artifact.timeline] or None,
            "last_checkpoint": last.given if last else None,
            "handoff": _handoff(artifact.handoff) or None,
            "session_metadata": artifact.session_metadata or None,
            "outcome_metadata": outcome_metadata or None,
        }
    )


def _handoff(handoff: Handoff) -> JsonObject:
    return present(
        {
            "summary": handoff.summary,
            "next_action": handoff.next_action,
            "assignee": handoff.assignee,
            "notes": list(handoff.notes) or None,
            "metadata": handoff.metadata or None,
        }
    )


def present(members: JsonObject) -> JsonObject:
    """Return the members that have a value: absent ones are left out, not null."""
    return {name: value for name, value in members.items() if value is not None}


def _union(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))
