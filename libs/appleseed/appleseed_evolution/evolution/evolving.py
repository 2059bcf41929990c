"""The operator's control plane over a workspace: evolve, governance, review, resume."""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from appleseed_evolution.contract import to_json
from appleseed_evolution.evolution.evidence import Evidence, read_evidence
from appleseed_evolution.evolution.governance import governance_report
from appleseed_evolution.evolution.preview import Preview, preview
from appleseed_evolution.evolution.proposals import Proposal
from appleseed_evolution.evolution.report import EvolutionReport, build_report, read_report
from appleseed_evolution.evolution.review import operator_review
from appleseed_evolution.evolution.workflow import (
    LastPromotion,
    Stage,
    WorkflowState,
    next_state,
    resume_view,
)
from appleseed_evolution.jsontext import JsonObject, to_document
from appleseed_evolution.naming import workflow_id
from appleseed_evolution.skills import SkillFile
from appleseed_evolution.state.files import write_atomically
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import NotFound

EVOLUTION_REPORT = "latest_evolution_report.json"
GOVERNANCE_REPORT = "latest_governance_report.json"
OPERATOR_REVIEW = "latest_operator_review.json"
WORKFLOW_RESUME = "latest_workflow_resume.json"


class SourceReport(Struct, frozen=True):
    """An evolution report that a command works from: where it lies, its workflow, and what it says."""

    path: Path
    workflow_id: str
    report: EvolutionReport


def open_report(workspace: Workspace, path: Path | None) -> SourceReport:
    """Return the report at a path, else the latest one. Raises `NotFound` or `BadRequest`."""
    path = path or workspace.state.reports / EVOLUTION_REPORT
    report, value = read_report(path)
    return SourceReport(path, workflow_id(value), report)


def evolve(workspace: Workspace, *, now: datetime) -> JsonObject:
    """Write a new evolution report, which begins a new workflow, and return it with where it lies."""
    report = _fresh(workspace, now)
    value = to_json(report)
    with workspace.state.locked():
        path = workspace.state.write_report(EVOLUTION_REPORT, value)
        enter_stage(
            workspace,
            "evolved",
            SourceReport(path, workflow_id(value), report),
            {"evolution_report": str(path)},
            now=now,
        )
    return {"report_path": str(path), "workflow_state_path": str(workspace.state.workflow_state), **value}


def governance(workspace: Workspace, path: Path | None, *, now: datetime) -> JsonObject:
    """Return the governance report of an evolution report; of the ledgers as they are when there is none."""
    if path is None and not (workspace.state.reports / EVOLUTION_REPORT).exists():
        return governance_report(_fresh(workspace, now), None)
    source = open_report(workspace, path)
    return governance_report(source.report, source.path)


def review(workspace: Workspace, path: Path | None, *, now: datetime) -> JsonObject:
    """Write the operator's review queue, and return it."""
    source = open_report(workspace, path)
    with workspace.state.locked():
        files = {file.skill.id: file for file in workspace.skills()}
        previews = {p.proposal_id: preview_of(p, files) for p in source.report.proposals}
        document = operator_review(source.report, source.path, previews, workspace.config.path)
        written = workspace.state.write_report(OPERATOR_REVIEW, document)
        artifacts = {"evolution_report": str(source.path), "operator_review_report": str(written)}
        enter_stage(workspace, "reviewed", source, artifacts, now=now)
    return document


def resume(workspace: Workspace) -> JsonObject:
    """Return where the operator stands. Raises `NotFound` before the first evolution."""
    state = workflow_state(workspace)
    if state is None:
        raise NotFound("no workflow was begun in this state directory; begin one with: appleseed evolve")
    return resume_view(state, lambda path: Path(path).exists())


def preview_of(proposal: Proposal, files: dict[str, SkillFile]) -> Preview:
    """Return what a proposal would change in the skill files, which are given by skill id."""
    file = files.get(proposal.target_id or "")
    return preview(proposal, file, b"" if file is None else file.path.read_bytes())


def workflow_state(workspace: Workspace) -> WorkflowState | None:
    """Return the newest workflow state; the history has it even when a crash kept it from its own file."""
    newest = None
    for line in workspace.state.objects(workspace.state.workflow_history):
        try:
            newest = msgspec.convert(line, WorkflowState)
        except msgspec.ValidationError as error:
            workspace.state.notice(f"workflow_history.jsonl: a state was passed over: {error}")
    return newest


def enter_stage(
    workspace: Workspace,
    stage: Stage,
    source: SourceReport,
    artifacts: dict[str, str],
    *,
    now: datetime,
    promotion: LastPromotion | None = None,
) -> None:
    """Write the workflow's next state. For whoever holds the lock."""
    state = workspace.state
    entered = next_state(
        workflow_state(workspace),
        stage,
        workflow_id=source.workflow_id,
        report_path=source.path,
        report_generated_at=source.report.metadata.generated_at,
        summary=source.report.metadata.governance_summary,
        artifacts=artifacts,
        log_pointers={
            "events": str(state.events.path),
            "runtime_event_envelopes": str(state.envelopes.path),
            "projected_feedback": str(state.projected_feedback.path),
            "workflow_history": str(state.workflow_history.path),
        },
        config_path=workspace.config.path,
        now=now,
        promotion=promotion,
    )
    write_state(workspace, entered)


def write_state(workspace: Workspace, entered: WorkflowState) -> None:
    """Write a workflow state: into the history first. For whoever holds the lock."""
    value = to_json(entered)
    workspace.state.workflow_history.append([value])
    write_atomically(workspace.state.workflow_state, to_document(value).encode())


def _evidence(workspace: Workspace) -> Evidence:
    return read_evidence(workspace.state, workspace.state.extent())


def _fresh(workspace: Workspace, now: datetime) -> EvolutionReport:
    return build_report(_evidence(workspace), workspace.skills(), workspace.runtime, now=now)
