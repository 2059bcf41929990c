"""Reports that only look: the audit of the evidence path, and the evidence bundle of a session."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import count

from appleseed_evolution.audit import audit
from appleseed_evolution.contract import Envelope
from appleseed_evolution.evolution.evidence import read_projections
from appleseed_evolution.jsontext import JsonObject, parse
from appleseed_evolution.naming import file_name_part, payload_part_id
from appleseed_evolution.pages import session_page
from appleseed_evolution.parsing import parse_payload
from appleseed_evolution.projection import project
from appleseed_evolution.reading import read_envelopes
from appleseed_evolution.sessionreport import Session, choose_session, session_report
from appleseed_evolution.state.files import sha256
from appleseed_evolution.workspace import Workspace

INGEST_AUDIT = "latest_runtime_ingest_audit.json"
SESSION_REPORT = "latest_runtime_session_report.json"


def inspect(workspace: Workspace, *, session_id: str | None, limit: int, write: bool) -> JsonObject:
    """Return each raw envelope beside what it was projected to; with `write`, leave it as a report too."""
    state = workspace.state
    extent = state.extent()
    document = audit(
        state.objects(state.envelopes, extent.envelopes),
        state.objects(state.projected_feedback, extent.projected_feedback),
        state.objects(state.journal, extent.journal),
        session_id=session_id,
        limit=limit,
    )
    if write:
        with state.locked():
            state.write_report(INGEST_AUDIT, document)
    return document


def report_payloads(
    workspace: Workspace, payloads: Sequence[bytes], *, session_id: str | None, now: datetime, write: bool
) -> JsonObject:
    """Return the evidence bundle of one session in some payloads, none of which is stored.

    Ids that the sender left out are derived from the payload, so that the same payloads give the same report.
    """
    envelopes: dict[str, Envelope] = {}
    for payload in payloads:
        for envelope in _parsed(payload, now):
            envelopes.setdefault(envelope.envelope_id, envelope)
    projections = [r for envelope in envelopes.values() if (r := project(envelope, now=now)) is not None]
    session = choose_session(envelopes.values(), projections, session_id)
    return _report(workspace, session, now=now, write=write)


def report_stored(workspace: Workspace, *, session_id: str | None, now: datetime, write: bool) -> JsonObject:
    """Return the evidence bundle of one session in the ledgers."""
    state = workspace.state
    with state.locked():
        envelopes = list(read_envelopes(state, session_id))
        session = choose_session(envelopes, read_projections(state), session_id)
    return _report(workspace, session, now=now, write=write)


def _parsed(payload: bytes, now: datetime) -> Iterable[Envelope]:
    digest, ordinals = sha256(payload), count()
    return parse_payload(parse(payload), now=now, new_id=lambda: payload_part_id(digest, next(ordinals)))


def _report(workspace: Workspace, session: Session, *, now: datetime, write: bool) -> JsonObject:
    document = session_report(session, workspace.skills(), workspace.runtime, now=now)
    if write:
        name = f"runtime_session_report_{file_name_part(session.session_id)}"
        with workspace.state.locked():
            workspace.state.write_report(f"{name}.json", document)
            workspace.state.write_report(SESSION_REPORT, document)
            workspace.state.write_page(f"{name}.md", session_page(document))
    return document
