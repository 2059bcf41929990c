"""Handoff bundles, checked: all is of one session, and no record says what no envelope does."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET, Struct

from appleseed_evolution.contract import Envelope, Feedback, ProjectedFeedbackRecord
from appleseed_evolution.fields import Members, shown
from appleseed_evolution.openclaw.artifact import OperatorArtifact, parse_artifact
from appleseed_evolution.openclaw.handoff import BUNDLE_KIND, BUNDLE_VERSION
from appleseed_evolution.parsing import parse_feedback, parse_item
from appleseed_evolution.projection import project
from ironclaw_contracts.errors import BadRequest

FindEnvelopes = Callable[[Collection[str]], Mapping[str, Envelope]]


class Bundle(Struct, frozen=True):
    """A checked bundle: its artifact, and the envelopes and records with the ids that were exported."""

    artifact: OperatorArtifact
    envelopes: tuple[Envelope, ...]
    projections: tuple[ProjectedFeedbackRecord, ...]


def parse_bundle(value: Any, find_envelopes: FindEnvelopes, *, now: datetime) -> Bundle:
    """Return a bundle. `find_envelopes` returns those of some ids that the ledger has: they are the evidence.

    Raises `BadRequest` naming what is wrong: then none of the bundle counts.
    """
    members = Members(value, "")
    for name, wanted in (("report_kind", BUNDLE_KIND), ("schema_version", BUNDLE_VERSION)):
        if members.text(name) != wanted:
            raise BadRequest(f'{name} must be "{wanted}", not {shown(members.given(name))}')
    artifact = parse_artifact(members.given("source_artifact"), "source_artifact")
    items = members.items("adapted_envelopes")
    if not items:
        raise BadRequest("adapted_envelopes is empty: a bundle holds at least one envelope")
    envelopes = tuple(
        parse_item(item, f"adapted_envelopes[{index}]", now=now, new_id=_refuse_new_id)
        for index, item in enumerate(items)
    )
    records = [
        Members(item, f"projected_feedback[{index}]")
        for index, item in enumerate(members.items("projected_feedback"))
    ]
    stored = find_envelopes(
        {e.envelope_id for e in envelopes} | {record.text("source_envelope_id") for record in records}
    )
    known = _checked(envelopes, stored)
    projections = tuple(_projection(record, known, now) for record in records)
    _check_session(members, artifact, envelopes, projections)
    return Bundle(artifact, envelopes, projections)


def _checked(envelopes: Sequence[Envelope], stored: Mapping[str, Envelope]) -> dict[str, Envelope]:
    """Return all that is known by id; an id names one envelope, or records could lean on one never stored."""
    known = dict(stored)
    for index, envelope in enumerate(envelopes):
        if known.setdefault(envelope.envelope_id, envelope).event != envelope.event:
            raise BadRequest(
                f"adapted_envelopes[{index}].envelope_id {shown(envelope.envelope_id)} is that of another"
                " envelope, in the bundle or in the ledger"
            )
    return known


def _projection(members: Members, known: Mapping[str, Envelope], now: datetime) -> ProjectedFeedbackRecord:
    envelope_id = members.text("source_envelope_id")
    envelope = known.get(envelope_id)
    if envelope is None:
        raise BadRequest(
            f"{members.path('source_envelope_id')} {shown(envelope_id)} is neither in the bundle"
            " nor in the ledger"
        )
    given = Members(members.given("feedback"), members.path("feedback"))
    try:
        feedback = parse_feedback(members.given("feedback"))
    except BadRequest as error:
        raise BadRequest(f"{given.path('')}{error.message}") from error
    record = project(envelope, now=now)
    if record is None or _evidence(record.feedback) != _evidence(feedback):
        raise BadRequest(f"{members.path('feedback')} says what envelope {shown(envelope_id)} does not")
    return msgspec.structs.replace(
        record,
        projection_id=members.text("projection_id"),
        projected_at=members.instant("projected_at"),
    )


def _evidence(feedback: Feedback) -> tuple[object, ...]:
    """Return the part of feedback that evolution rests on."""
    return (
        feedback.session_id,
        feedback.task,
        feedback.status,
        feedback.score,
        "" if feedback.comment is UNSET else feedback.comment,
        feedback.steps,
        feedback.selected_skill_ids,
        feedback.missing_capabilities,
    )


def _check_session(
    members: Members,
    artifact: OperatorArtifact,
    envelopes: tuple[Envelope, ...],
    projections: tuple[ProjectedFeedbackRecord, ...],
) -> None:
    handoff = Members(members.given("handoff"), "handoff")
    found = {
        "session_id": members.text("session_id"),
        "handoff.session_id": handoff.text("session_id"),
        **{f"adapted_envelopes[{i}].event.session_id": e.event.session_id for i, e in enumerate(envelopes)},
        **{
            f"projected_feedback[{i}].feedback.session_id": r.feedback.session_id
            for i, r in enumerate(projections)
        },
    }
    if members.given("runtime_session_report") is not None:
        report = Members(members.given("runtime_session_report"), "runtime_session_report")
        found["runtime_session_report.session_id"] = report.text("session_id")
    for path, session_id in found.items():
        if session_id != artifact.session_id:
            raise BadRequest(
                f"{path} is {shown(session_id)}, but the artifact is of session {shown(artifact.session_id)}"
            )


def _refuse_new_id() -> NoReturn:
    raise BadRequest(
        "an envelope of a bundle lacks its envelope_id or event_id: a bundle is replayed with both"
    )
