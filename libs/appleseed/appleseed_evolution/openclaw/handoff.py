"""What an import leaves for the next operator: handoff, bundle to replay it from, import report."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

from appleseed_evolution.commands import command
from appleseed_evolution.contract import (
    Envelope,
    ProjectedFeedbackRecord,
    envelope_to_json,
    to_json,
)
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.naming import file_name_part
from appleseed_evolution.openclaw.adapting import all_missing_capabilities, all_skills
from appleseed_evolution.openclaw.artifact import OperatorArtifact

BUNDLE_KIND = "openclaw_operator_handoff_bundle"
BUNDLE_VERSION = "1.0"
ImportMode = Literal["operator_session_artifact", "handoff_bundle_replay"]


class Imported(Struct, frozen=True, kw_only=True):
    """An operator session with the envelopes and records that it has in the ledgers."""

    mode: ImportMode
    artifact: OperatorArtifact
    envelopes: Sequence[Envelope]
    projections: Sequence[ProjectedFeedbackRecord]


class Places(Struct, frozen=True, kw_only=True):
    """Where the ledgers and the reports of this state directory lie, and its configuration."""

    envelopes: Path
    projected_feedback: Path
    reports: Path
    config: Path


def artifact_paths(places: Places, session_id: str) -> dict[str, str]:
    """Return where the reports of an import lie: one set by session, one that is always the newest."""
    name = file_name_part(session_id)
    names = {
        "import_report_path": f"openclaw_import_{name}.json",
        "latest_import_report_path": "latest_openclaw_import.json",
        "handoff_path": f"openclaw_operator_handoff_{name}.json",
        "latest_handoff_path": "latest_openclaw_operator_handoff.json",
        "handoff_bundle_path": f"openclaw_operator_handoff_bundle_{name}.json",
        "latest_handoff_bundle_path": "latest_openclaw_operator_handoff_bundle.json",
        "runtime_session_report_path": f"runtime_session_report_{name}.json",
        "latest_runtime_session_report_path": "latest_runtime_session_report.json",
    }
    return {key: str(places.reports / value) for key, value in names.items()}


def handoff_report(imported: Imported, places: Places) -> JsonObject:
    """Return the session's summary and the exact commands for the next operator."""
    artifact = imported.artifact
    is_completed = bool(imported.projections)
    last = artifact.last_checkpoint
    return {
        "report_kind": "openclaw_operator_handoff",
        "session_id": artifact.session_id,
        "task": artifact.task,
        "source": artifact.source,
        "session_state": "completed" if is_completed else "awaiting_feedback",
        "operator": artifact.operator,
        "summary": artifact.handoff.summary,
        "next_action": artifact.handoff.next_action,
        "assignee": artifact.handoff.assignee,
        "notes": list(artifact.handoff.notes),
        "selected_skill_ids": list(all_skills(artifact)),
        "missing_capabilities": list(all_missing_capabilities(artifact)),
        "checkpoint_count": len(artifact.timeline),
        "last_checkpoint": last.given if last else None,
        "ledger_paths": {
            "runtime_event_envelopes": str(places.envelopes),
            "projected_feedback": str(places.projected_feedback),
            "reports_dir": str(places.reports),
        },
        "resume_commands": _resume_commands(artifact, places, is_completed=is_completed),
        **_evidence(imported),
    }


def handoff_bundle(
    imported: Imported, handoff: JsonObject, session_report: JsonObject, places: Places, *, now: datetime
) -> JsonObject:
    """Return the bundle that restores the session in another state directory."""
    return {
        "report_kind": BUNDLE_KIND,
        "schema_version": BUNDLE_VERSION,
        "exported_at": now.isoformat(),
        "session_id": imported.artifact.session_id,
        "task": imported.artifact.task,
        "source": imported.artifact.source,
        "source_artifact": imported.artifact.given,
        "handoff": handoff,
        "runtime_session_report": session_report,
        **_evidence(imported),
        "artifact_paths": artifact_paths(places, imported.artifact.session_id),
        "export_notes": [
            "Replay this file with openclaw-import: ids are kept, and what is stored already is skipped.",
        ],
    }


def import_report(imported: Imported, handoff: JsonObject, session_report: JsonObject) -> JsonObject:
    """Return the raw artifact with what it was adapted to."""
    return {
        "report_kind": "openclaw_operator_import",
        "source_artifact": imported.artifact.given,
        **_evidence(imported),
        "handoff": handoff,
        "runtime_session_report": session_report,
        "import_mode": imported.mode,
    }


def _evidence(imported: Imported) -> JsonObject:
    return {
        "adapted_envelopes": [envelope_to_json(envelope) for envelope in imported.envelopes],
        "projected_feedback": [to_json(record) for record in imported.projections],
    }


def _resume_commands(artifact: OperatorArtifact, places: Places, *, is_completed: bool) -> dict[str, str]:
    commands = {
        "inspect": command("inspect", places.config, "--session-id", artifact.session_id, "--write-report")
    }
    if is_completed:
        commands["evolve"] = command("evolve", places.config)
        return commands
    chosen = [word for skill in all_skills(artifact) for word in ("--skill", skill)]
    commands["record_feedback"] = command(
        "feedback",
        places.config,
        *("--session-id", artifact.session_id, "--task", artifact.task),
        *("--status", "success", "--score", "1.0"),
        *chosen,
    )
    return commands
