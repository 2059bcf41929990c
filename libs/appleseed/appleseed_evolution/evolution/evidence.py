"""The evidence of evolution: direct feedback and projected feedback, read off the ledgers."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from appleseed_evolution.contract import Feedback, ProjectedFeedbackRecord
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.parsing import parse_feedback
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.ledger import Ledger
from ironclaw_contracts.errors import BadRequest

_DIRECT = frozenset({"feedback_recorded", "runtime_session_event"})


class Extent(Struct, frozen=True, kw_only=True):
    """How far the ledgers were read, in bytes; ledgers only grow, so this names the evidence for good."""

    events: int
    projected_feedback: int


class Evidence(Struct, frozen=True):
    """Feedback, in the order of the ledgers, and how far it reaches."""

    records: tuple[Feedback, ...]
    extent: Extent


def read_evidence(state: StateDirectory, until: Extent | None = None) -> Evidence:
    """Return all feedback, or that of an earlier extent. Damaged lines are told in the state's notices."""
    direct, events_end = _lines(state, state.events, until.events if until else None)
    projected, projected_end = _lines(
        state, state.projected_feedback, until.projected_feedback if until else None
    )
    records = [
        *(feedback for line in direct if (feedback := _direct_feedback(state, line)) is not None),
        *(record.feedback for record in _projections(state, projected)),
    ]
    return Evidence(tuple(records), Extent(events=events_end, projected_feedback=projected_end))


def read_projections(state: StateDirectory) -> Iterator[ProjectedFeedbackRecord]:
    """Yield the projected feedback records."""
    return _projections(state, list(state.objects(state.projected_feedback)))


def _lines(state: StateDirectory, ledger: Ledger, until: int | None) -> tuple[list[JsonObject], int]:
    found: list[JsonObject] = []
    end = 0
    for line in ledger.read():
        if until is not None and line.end_offset > until:
            break
        end = line.end_offset
        if line.value is None:
            state.notice(f"{ledger.path.name}: line {line.number} is damaged and was passed over")
        else:
            found.append(line.value)
    return found, end


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


def _projections(state: StateDirectory, lines: list[JsonObject]) -> Iterator[ProjectedFeedbackRecord]:
    for line in lines:
        try:
            record = msgspec.convert(line, ProjectedFeedbackRecord)
            parse_feedback(line["feedback"])
        except (msgspec.ValidationError, BadRequest) as error:
            state.notice(f"projected_feedback.jsonl: a record was passed over: {error}")
            continue
        yield record
