"""The evidence bundle of one session: its outcome, what it suggests, and what speaks against acting on it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from appleseed_evolution.config import Runtime
from appleseed_evolution.contract import (
    Envelope,
    ProjectedFeedbackRecord,
    envelope_to_json,
    to_json,
)
from appleseed_evolution.evolution.evidence import Evidence
from appleseed_evolution.evolution.gate import Evaluation
from appleseed_evolution.evolution.report import EvolutionReport, GatedProposal, build_report
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.skills import SkillFile
from appleseed_evolution.state.directory import Extent
from ironclaw_contracts.errors import BadRequest, NotFound

_MIN_EVIDENCE = 1  # one session is all there is; the gate still asks for the configured minimum


class Session(Struct, frozen=True):
    """All that is known of one session, in the order it came."""

    session_id: str
    envelopes: tuple[Envelope, ...]
    projections: tuple[ProjectedFeedbackRecord, ...]


def choose_session(
    envelopes: Iterable[Envelope], projections: Iterable[ProjectedFeedbackRecord], session_id: str | None
) -> Session:
    """Return one session of what is given. Raises `BadRequest` when several are and none is named."""
    found = list(envelopes)
    known = list(dict.fromkeys(envelope.event.session_id for envelope in found))
    if session_id is None and len(known) > 1:
        raise BadRequest(
            f"there are {len(known)} sessions; name one with --session-id: {', '.join(known[:10])}"
        )
    chosen = session_id if session_id is not None else next(iter(known), None)
    if chosen is None or chosen not in known:
        raise NotFound(f"there is no envelope of session {chosen!a}" if chosen else "there is no session")
    return Session(
        chosen,
        tuple(e for e in found if e.event.session_id == chosen),
        tuple(r for r in projections if r.feedback.session_id == chosen),
    )


def session_report(
    session: Session, skills: Sequence[SkillFile], runtime: Runtime, *, now: datetime
) -> JsonObject:
    """Return the evidence bundle of a session. No model is asked: the same evidence gives the same report."""
    events = [envelope.event for envelope in session.envelopes]
    evidence = Evidence(tuple(r.feedback for r in session.projections), Extent())
    suggested = build_report(evidence, skills, runtime, now=now, min_evidence=_MIN_EVIDENCE)
    return {
        "report_kind": "runtime_session_evidence_bundle",
        "session_id": session.session_id,
        "task": events[-1].task,
        "sources": _union([envelope.source] for envelope in session.envelopes),
        "raw_session_outcome": _outcome(session),
        "selected_skills": _selected_skills(_union(e.selected_skill_ids for e in events), skills),
        "missing_capabilities": _union(e.missing_capabilities for e in events),
        "projected_evolution_signals": [_signal(*pair) for pair in suggested.pairs()],
        "promotion_risk_notes": _risk_notes(session, suggested),
        "evidence": {
            "raw_envelope_count": len(session.envelopes),
            "projected_feedback_count": len(session.projections),
            "raw_envelopes": [envelope_to_json(envelope) for envelope in session.envelopes],
            "projected_feedback": [to_json(record) for record in session.projections],
        },
        "operator_handoff": _handoff(session),
        "metadata": {
            "report_min_evidence": _MIN_EVIDENCE,
            "approval_threshold": runtime.approval_threshold,
            "governance_summary": to_json(suggested.metadata.governance_summary),
        },
    }


def _outcome(session: Session) -> JsonObject:
    """Return how the session ended; of several feedback events the last counts."""
    started = [e.event for e in session.envelopes if e.event.event_kind == "session_started"]
    feedback = [e.event for e in session.envelopes if e.event.event_kind == "session_feedback"]
    last = feedback[-1] if feedback else None
    return {
        "status": last.status if last else "incomplete",
        "score": last.score if last else None,
        "comment": last.comment if last and last.comment is not UNSET else None,
        "feedback_event_id": last.event_id if last else None,
        "feedback_occurred_at": last.occurred_at if last else None,
        "feedback_event_count": len(feedback),
        "started_event_count": len(started),
        "steps": next((list(e.steps) for e in reversed(feedback + started) if e.steps), []),
    }


def _selected_skills(skill_ids: Iterable[str], skills: Sequence[SkillFile]) -> list[JsonObject]:
    known = {file.skill.id: file.skill for file in skills}
    rows: list[JsonObject] = []
    for skill_id in skill_ids:
        skill = known.get(skill_id)
        rows.append(
            {
                "skill_id": skill_id,
                "known": skill is not None,
                "name": skill.name if skill else None,
                "description": skill.description if skill else None,
                "tags": list(skill.tags) if skill else [],
            }
        )
    return rows


def _signal(proposal: GatedProposal, evaluation: Evaluation) -> JsonObject:
    row = to_json(proposal)
    return {
        **{name: value for name, value in row.items() if name != "target_id" or value is not None},
        "evaluation_status": evaluation.status,
        "evaluation_reasons": list(evaluation.reasons),
        "promotion_readiness": evaluation.readiness,
        "risk_level": evaluation.risk_level,
        "operator_actions": list(evaluation.operator_actions),
    }


def _risk_notes(session: Session, suggested: EvolutionReport) -> list[str]:
    notes = ["This is the evidence of one session; only an evolution over all sessions can be promoted."]
    if not session.projections:
        notes.append("No feedback came, so nothing of this session enters evolution.")
    notes += [
        f"{evaluation.proposal_id}: {evaluation.readiness}, since {reason}."
        for evaluation in suggested.evaluations
        for reason in evaluation.reasons
        if evaluation.readiness != "ready_for_promotion"
    ]
    return notes


def _handoff(session: Session) -> JsonObject:
    """Return what an adapted artifact says of the handoff. Metadata is the sender's: trust no type."""
    last = session.envelopes[-1]
    adapter = _object(last.metadata.get("openclaw_adapter"))
    handoff = _object(last.event.metadata.get("handoff"))
    count = adapter.get("checkpoint_count")
    found: JsonObject = {
        "session_state": "completed" if session.projections else "awaiting_feedback",
        "checkpoint_count": count if isinstance(count, int) and not isinstance(count, bool) else 0,
        "summary": _text(handoff.get("summary")),
        "next_action": _text(handoff.get("next_action")),
    }
    checkpoint = last.event.metadata.get("last_checkpoint")
    if isinstance(checkpoint, dict):
        found["last_checkpoint"] = checkpoint
    if _text(handoff.get("assignee")) is not None:
        found["assignee"] = handoff["assignee"]
    return found


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(item for items in lists for item in items))


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
