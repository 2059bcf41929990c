"""What a runtime asks of Appleseed: take events in, take feedback, name the skills for a task."""

from datetime import datetime
from typing import Any

from appleseed_evolution.contract import Feedback, envelope_to_json, to_json
from appleseed_evolution.fields import Members
from appleseed_evolution.jsontext import JsonObject, parse
from appleseed_evolution.parsing import NewId, parse_feedback, parse_payload
from appleseed_evolution.routing import rank, route_answer
from appleseed_evolution.state.recording import record_event, record_feedback, record_payload
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import BadRequest


def ingest(workspace: Workspace, payload: bytes, *, now: datetime, new_id: NewId) -> JsonObject:
    """Store the events of a payload, and return what was new. Raises `BadRequest`; nothing is stored then."""
    envelopes = parse_payload(parse(payload), now=now, new_id=new_id)
    recorded = record_payload(workspace.state, payload, envelopes, now=now)
    return {
        "status": "recorded",
        "ingested": len(recorded.envelopes),
        "skipped": recorded.skipped_envelopes,
        "projected_feedback_records": len(recorded.projected),
        "events": [envelope_to_json(envelope) for envelope in recorded.envelopes],
        "projected_feedback": [to_json(record) for record in recorded.projected],
    }


def give_feedback(workspace: Workspace, value: Any, *, now: datetime) -> Feedback:
    """Store an operator's own feedback, and return it. Raises `BadRequest` naming the member."""
    feedback = parse_feedback(value)
    record_feedback(workspace.state, feedback, now=now)
    return feedback


def route(workspace: Workspace, value: Any, *, now: datetime, new_id: NewId) -> JsonObject:
    """Begin a session for `{task, metadata?}`, and return the skills for it. Raises `BadRequest`."""
    members = Members(value, "")
    task, metadata = members.optional_text("task"), members.object("metadata")
    if task is None or not task.strip():
        raise BadRequest("task is required")  # the contract has these very words
    skills = [file.skill for file in workspace.skills()]
    matches = rank(skills, task, count_max=workspace.runtime.top_k_skills)
    session_id = new_id()
    started: JsonObject = {
        "session_id": session_id,
        "task": task,
        "metadata": metadata,
        "selected_skill_ids": [match.skill.id for match in matches],
    }
    record_event(workspace.state, "session_started", started, now=now)
    return route_answer(session_id, task, matches)
