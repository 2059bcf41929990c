"""`openclaw-import`: an operator artifact or a handoff bundle into the ledgers and the reports."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from appleseed_evolution.contract import (
    Envelope,
    ProjectedFeedbackRecord,
    envelope_to_json,
    to_json,
)
from appleseed_evolution.evolution.evidence import read_projections
from appleseed_evolution.jsontext import JsonObject, check_depth, is_object, parse, to_document
from appleseed_evolution.openclaw.adapting import adapt
from appleseed_evolution.openclaw.artifact import ARTIFACT_KIND, OperatorArtifact, parse_artifact
from appleseed_evolution.openclaw.bundle import parse_bundle
from appleseed_evolution.openclaw.handoff import (
    BUNDLE_KIND,
    Imported,
    ImportMode,
    Places,
    artifact_paths,
    handoff_bundle,
    handoff_report,
    import_report,
)
from appleseed_evolution.pages import session_page
from appleseed_evolution.reading import find_envelopes
from appleseed_evolution.sessionreport import Session, session_report
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.files import write_atomically
from appleseed_evolution.state.recording import Recorded, record_payload
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import BadRequest

_BUNDLE_DEPTH_MAX = 96  # an artifact, and what a bundle puts around it


def openclaw_import(workspace: Workspace, payload: bytes, *, now: datetime) -> JsonObject:
    """Import an artifact or replay a bundle, and return what was stored and where the reports lie.

    Importing the same again adds nothing. Raises `BadRequest` before anything is written.
    """
    value = parse(payload, depth_max=_BUNDLE_DEPTH_MAX)
    kind = (value.get("artifact_kind"), value.get("report_kind")) if is_object(value) else (None, None)
    if kind[0] == ARTIFACT_KIND:
        check_depth(value)
        return _import_artifact(workspace, payload, parse_artifact(value), now)
    if kind[1] == BUNDLE_KIND:
        return _replay_bundle(workspace, payload, value, now)
    raise BadRequest(f'the payload needs artifact_kind "{ARTIFACT_KIND}" or report_kind "{BUNDLE_KIND}"')


def _import_artifact(
    workspace: Workspace, payload: bytes, artifact: OperatorArtifact, now: datetime
) -> JsonObject:
    workspace.skills()  # a skill file that cannot be read is told before anything is stored
    envelopes = adapt(artifact)
    recorded = record_payload(workspace.state, payload, envelopes, now=now)
    return _report(workspace, "operator_session_artifact", artifact, envelopes, recorded, now)


def _replay_bundle(workspace: Workspace, payload: bytes, value: Any, now: datetime) -> JsonObject:
    workspace.skills()
    bundle = parse_bundle(value, lambda envelope_ids: find_envelopes(workspace.state, envelope_ids), now=now)
    recorded = record_payload(
        workspace.state, payload, bundle.envelopes, now=now, projected=bundle.projections
    )
    answer = _report(workspace, "handoff_bundle_replay", bundle.artifact, bundle.envelopes, recorded, now)
    return {
        **answer,
        "skipped_existing_envelopes": recorded.skipped_envelopes,
        "skipped_existing_projected_feedback": recorded.skipped_projections,
    }


def _report(
    workspace: Workspace,
    mode: ImportMode,
    artifact: OperatorArtifact,
    envelopes: tuple[Envelope, ...],
    recorded: Recorded,
    now: datetime,
) -> JsonObject:
    """Write the reports of an import, and return its answer."""
    state = workspace.state
    places = Places(
        envelopes=state.envelopes.path,
        projected_feedback=state.projected_feedback.path,
        reports=state.reports,
        config=workspace.config.path,
    )
    projections = _stored_projections(state, {envelope.envelope_id for envelope in envelopes})
    imported = Imported(mode=mode, artifact=artifact, envelopes=envelopes, projections=projections)
    session = Session(artifact.session_id, envelopes, projections)
    report = session_report(session, workspace.skills(), workspace.runtime, now=now)
    handoff = handoff_report(imported, places)
    bundle = handoff_bundle(imported, handoff, report, places, now=now)
    paths = artifact_paths(places, artifact.session_id)
    documents = {
        "import_report_path": import_report(imported, handoff, report),
        "handoff_path": handoff,
        "handoff_bundle_path": bundle,
        "runtime_session_report_path": report,
    }
    with state.locked():  # so that the newest of each are of one import
        for key, document in documents.items():
            content = to_document(document).encode()
            write_atomically(Path(paths[key]), content)
            write_atomically(Path(paths[f"latest_{key}"]), content)
        page = Path(paths["runtime_session_report_path"]).with_suffix(".md")
        state.write_page(page.name, session_page(report))
    return {
        "status": "recorded",
        "import_mode": mode,
        "ingested": len(recorded.envelopes),
        "skipped": recorded.skipped_envelopes,
        "projected_feedback_records": len(recorded.projected),
        "session_id": artifact.session_id,
        "events": [envelope_to_json(envelope) for envelope in recorded.envelopes],
        "projected_feedback": [to_json(record) for record in recorded.projected],
        "runtime_session_report": report,
        "handoff": handoff,
        "handoff_bundle": bundle,
        **paths,
    }


def _stored_projections(
    state: StateDirectory, envelope_ids: Collection[str]
) -> tuple[ProjectedFeedbackRecord, ...]:
    """Return what the ledger holds of some envelopes: with the ids and instants it was stored with."""
    return tuple(r for r in read_projections(state) if r.source_envelope_id in envelope_ids)
