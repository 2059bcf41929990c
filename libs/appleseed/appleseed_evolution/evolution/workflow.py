"""The workflow: where the operator stands between evolving and promoting; it outlives a restart."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from appleseed_evolution.commands import command
from appleseed_evolution.contract import to_json
from appleseed_evolution.evolution.gate import Summary
from appleseed_evolution.jsontext import JsonObject

Stage = Literal["evolved", "reviewed", "promotion_dry_run", "promoted"]

_NEXT_ACTIONS: dict[Stage, str] = {
    "evolved": "Review the proposals.",
    "reviewed": "Try the promotion with --dry-run, then apply it.",
    "promotion_dry_run": "Look at the diff, then apply the selection with --resume-last.",
    "promoted": "Watch the sessions that follow; roll a proposal back when they fare worse.",
}


class LastPromotion(Struct, frozen=True, kw_only=True):
    """The newest promotion of the workflow, tried or applied."""

    dry_run: bool
    requested_proposals: tuple[str, ...]
    selected_proposals: tuple[str, ...]
    skipped_proposals: tuple[str, ...]
    applied_proposals: tuple[str, ...]


class WorkflowState(Struct, frozen=True, kw_only=True):
    """One line of the workflow's history; the newest is also a file of its own."""

    report_kind: Literal["workflow_state"] = "workflow_state"
    workflow_id: str
    stage: Stage
    updated_at: str
    source_report_path: str
    source_report_generated_at: str
    summary: Summary
    selected_proposal_ids: tuple[str, ...]
    latest_artifacts: dict[str, str]
    log_pointers: dict[str, str]
    last_promotion: LastPromotion | None = None
    resume_commands: dict[str, str]
    next_action: str
    notes: tuple[str, ...] = ()


def next_state(
    former: WorkflowState | None,
    stage: Stage,
    *,
    workflow_id: str,
    report_path: Path,
    report_generated_at: str,
    summary: Summary,
    artifacts: dict[str, str],
    log_pointers: dict[str, str],
    config_path: Path,
    now: datetime,
    promotion: LastPromotion | None = None,
) -> WorkflowState:
    """Return the state after a stage. Another workflow forgets the former one's artifacts and promotion."""
    continued = former if former is not None and former.workflow_id == workflow_id else None
    return WorkflowState(
        workflow_id=workflow_id,
        stage=stage,
        updated_at=now.isoformat(),
        source_report_path=str(report_path),
        source_report_generated_at=report_generated_at,
        summary=summary,
        selected_proposal_ids=promotion.selected_proposals if promotion else (),
        latest_artifacts={**(continued.latest_artifacts if continued else {}), **artifacts},
        log_pointers=log_pointers,
        last_promotion=promotion or (continued.last_promotion if continued else None),
        resume_commands=_resume_commands(stage, config_path, report_path, promotion),
        next_action=_NEXT_ACTIONS[stage],
    )


def rolled_back(state: WorkflowState, proposal_id: str, *, now: datetime) -> WorkflowState:
    """Return the state after a rollback: the stage is what it was, and a note says what was taken back."""
    note = f"{proposal_id} was rolled back at {now.isoformat()}"
    return msgspec.structs.replace(state, updated_at=now.isoformat(), notes=(*state.notes, note))


def resume_view(state: WorkflowState, exists: Callable[[str], bool]) -> JsonObject:
    """Return the state for an operator who comes back, with which of its files are still there."""
    return {
        **to_json(state),
        "report_kind": "workflow_resume",
        "artifact_status": _statuses(state.latest_artifacts, exists),
        "log_status": _statuses(state.log_pointers, exists),
        "recoverable": all(exists(path) for path in state.latest_artifacts.values()),
    }


def _statuses(paths: dict[str, str], exists: Callable[[str], bool]) -> JsonObject:
    return {name: {"path": path, "exists": exists(path)} for name, path in paths.items()}


def _resume_commands(
    stage: Stage, config_path: Path, report_path: Path, promotion: LastPromotion | None
) -> dict[str, str]:
    report = ("--report", str(report_path))
    chosen = [
        word
        for name in (promotion.selected_proposals if promotion else ())
        for word in ("--proposal-id", name)
    ]
    commands = {
        "review": command("review", config_path, *report),
        "promote_dry_run": command("promote", config_path, *report, *chosen, "--dry-run"),
        "promote_apply": command("promote", config_path, *report, *chosen),
    }
    if stage == "promotion_dry_run":
        commands["promote_resume_last"] = command("promote", config_path, "--resume-last")
    return commands
