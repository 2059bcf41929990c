"""The evidence of evolution: direct feedback and projected feedback, read off the ledgers."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from appleseed_evolution.contract import Feedback, ProjectedFeedbackRecord, to_json
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.parsing import parse_feedback
from appleseed_evolution.state.directory import Extent, StateDirectory
from ironclaw_contracts.errors import BadRequest

_DIRECT = frozenset({"feedback_recorded", "runtime_session_event"})


class Evidence(Struct, frozen=True):
    """Feedback, in the order of the ledgers, and how far it reaches."""

    records: tuple[Feedback, ...]
    extent: Extent


def read_evidence(state: StateDirectory, extent: Extent) -> Evidence:
    """Return all feedback up to an extent. Damaged lines are told in the state's notices."""
    records = [
        *(
            feedback
            for line in state.objects(state.events, extent.events)
            if (feedback := _direct_feedback(state, line)) is not None
        ),
        *(record.feedback for record in read_projections(state, extent.projected_feedback)),
    ]
    return Evidence(tuple(records), extent)


def read_projections(
    state: StateDirectory, until_offset: int | None = None
) -> Iterator[ProjectedFeedbackRecord]:
    """Yield the projected feedback records. A line that holds none is told in the state's notices."""
    for line in state.objects(state.projected_feedback, until_offset):
        try:
            yield read_projection(line)
        except (msgspec.ValidationError, BadRequest) as error:
            state.notice(f"projected_feedback.jsonl: a record was passed over: {error}")


def _direct_feedback(state: StateDirectory, line: JsonObject) -> Feedback | None:
    """Return the feedback in an event of ours; older states hold runtime events there as well."""
    payload = line.get("payload")
    if line.get("event_type") not in _DIRECT:
        return None
    if line["event_type"] == "runtime_session_event" and not (
        isinstance(payload, dict) and "status" in payload and "score" in payload
    ):
        return None
    try:
        return parse_feedback(payload)
    except BadRequest as error:
        state.notice(f"events.jsonl: feedback was passed over: {error.message}")
        return None


def read_projection(line: JsonObject) -> ProjectedFeedbackRecord:
    """Return a record of the ledger. Raises `msgspec.ValidationError` or `BadRequest` for what is none.

    Its feedback is read as any other: other writers put null where we put none.
    """
    feedback = parse_feedback(line.get("feedback"))
    return msgspec.convert({**line, "feedback": to_json(feedback)}, ProjectedFeedbackRecord)
