"""Promotion and rollback, done: skill files changed for good, and changed back."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from appleseed_evolution.contract import to_json
from appleseed_evolution.evolution.evidence import read_evidence
from appleseed_evolution.evolution.evolving import (
    SourceReport,
    enter_stage,
    open_report,
    preview_of,
    workflow_state,
    write_state,
)
from appleseed_evolution.evolution.gate import Evaluation
from appleseed_evolution.evolution.preview import Preview, unified_diff
from appleseed_evolution.evolution.promotion import Selection, check_report, select
from appleseed_evolution.evolution.report import GatedProposal, build_report
from appleseed_evolution.evolution.review import labels
from appleseed_evolution.evolution.workflow import LastPromotion, rolled_back
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.state.files import sha256
from appleseed_evolution.state.skillchanges import (
    SkillChange,
    applied_change,
    apply,
    finish_interrupted,
    keep,
    kept,
)
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import Conflict, NotFound

PROMOTION_ARTIFACT = "latest_promotion_artifact.json"
ROLLBACK_ARTIFACT = "latest_rollback_artifact.json"


def promote(
    workspace: Workspace, path: Path | None, requested: Sequence[str], *, dry_run: bool, now: datetime
) -> JsonObject:
    """Apply what a report has ready, or with `dry_run` only say what would be, and return the artifact.

    `requested` names the proposals; all that are ready when empty. Raises `Conflict` when the report says
    what the ledgers do not.
    """
    source = open_report(workspace, path)
    evidence = read_evidence(workspace.state, source.report.metadata.evidence)
    with workspace.state.locked():
        finish_interrupted(workspace.state)
        skills = workspace.skills()
        judged_again = build_report(evidence, skills, workspace.runtime, now=now)
        digests = {file.skill.id: file.digest for file in skills}
        check_report(source.report, judged_again, digests)
        selection = select(source.report, requested, digests)
        files = {file.skill.id: file for file in skills}
        previews = {p.proposal_id: preview_of(p, files) for p, _ in selection.chosen}
        applied = frozenset[str]() if dry_run else _apply(workspace, selection, previews, now)
        artifact = _artifact(source, requested, selection, previews, applied, dry_run=dry_run, now=now)
        written = workspace.state.write_report(PROMOTION_ARTIFACT, artifact)
        enter_stage(
            workspace,
            "promotion_dry_run" if dry_run else "promoted",
            source,
            {"evolution_report": str(source.path), "promotion_artifact": str(written)},
            now=now,
            promotion=_last_promotion(requested, selection, applied, dry_run=dry_run),
        )
    return artifact


def promote_last(workspace: Workspace, *, dry_run: bool, now: datetime) -> JsonObject:
    """Apply what the last dry run selected. Raises `Conflict` when the last step was none."""
    state = workflow_state(workspace)
    if state is None or state.stage != "promotion_dry_run":
        raise Conflict("the last step was no dry run; begin with: appleseed promote --dry-run")
    if not state.selected_proposal_ids:
        raise Conflict("the last dry run selected nothing, so there is nothing to apply")
    source = open_report(workspace, Path(state.source_report_path))
    if source.workflow_id != state.workflow_id:
        raise Conflict(f"{source.path} is not the report of the last dry run; try it again with --dry-run")
    return promote(workspace, source.path, state.selected_proposal_ids, dry_run=dry_run, now=now)


def rollback(workspace: Workspace, proposal_id: str, *, now: datetime) -> JsonObject:
    """Restore the skill file that a promotion changed, and return what was done.

    Raises `NotFound` when the proposal is not promoted, `Conflict` when the file was changed since.
    """
    state = workspace.state
    with state.locked():
        finish_interrupted(state)
        change = applied_change(state, proposal_id)
        if change is None:
            raise NotFound(f"{proposal_id} is not promoted here, so there is nothing to roll back")
        path = Path(change.target_path)
        current = path.read_bytes() if path.exists() else b""
        if sha256(current) != change.after_sha256:
            raise Conflict(f"{path} was changed since {proposal_id} was promoted; restore it by hand")
        restored = kept(state, change.before_sha256)
        undo = SkillChange(
            proposal_id=proposal_id,
            target_path=change.target_path,
            before_sha256=change.after_sha256,
            after_sha256=change.before_sha256,
        )
        apply(state, "rollback", [undo], now=now)
        artifact: JsonObject = {
            "report_kind": "rollback_artifact",
            "generated_at": now.isoformat(),
            "proposal_id": proposal_id,
            "target_path": change.target_path,
            "restored_sha256": change.before_sha256,
            "diff": unified_diff(change.target_path, current, restored),
        }
        state.write_report(ROLLBACK_ARTIFACT, artifact)
        stands = workflow_state(workspace)
        if stands is not None:
            write_state(workspace, rolled_back(stands, proposal_id, now=now))
    return artifact


def _apply(
    workspace: Workspace, selection: Selection, previews: dict[str, Preview], now: datetime
) -> frozenset[str]:
    """Change the skill files, and return the ids of the proposals that were applied."""
    changes: list[SkillChange] = []
    for proposal, _ in selection.chosen:
        change = previews[proposal.proposal_id]
        changes.append(
            SkillChange(
                proposal_id=proposal.proposal_id,
                target_path=change.target_path or "",
                before_sha256=keep(workspace.state, change.current),
                after_sha256=keep(workspace.state, change.proposed),
            )
        )
    done = apply(workspace.state, "promotion", changes, now=now)
    return frozenset(change.proposal_id for change in done)


def _artifact(
    source: SourceReport,
    requested: Sequence[str],
    selection: Selection,
    previews: dict[str, Preview],
    applied: frozenset[str],
    *,
    dry_run: bool,
    now: datetime,
) -> JsonObject:
    summary = source.report.metadata.governance_summary
    chosen = [
        _chosen_row(p, e, previews[p.proposal_id], applied=p.proposal_id in applied)
        for p, e in selection.chosen
    ]
    return {
        "report_kind": "promotion_artifact",
        "generated_at": now.isoformat(),
        "source_report": str(source.path),
        "dry_run": dry_run,
        "requested_proposals": list(requested),
        "selected_proposals": chosen,
        "skipped_proposals": [to_json(skipped) for skipped in selection.skipped],
        "promoted_files": [row["target_path"] for row in chosen if row["applied"]],
        "summary": {
            "applied_proposals": len(applied),
            "selected_proposals": len(chosen),
            "skipped_proposals": len(selection.skipped),
            "manual_review_queue": summary.manual_review_queue,
            "blocked_proposals": summary.blocked,
        },
        "governance_summary": to_json(summary),
    }


def _chosen_row(
    proposal: GatedProposal, evaluation: Evaluation, change: Preview, *, applied: bool
) -> JsonObject:
    return {
        "proposal_id": proposal.proposal_id,
        "proposal_type": proposal.proposal_type,
        "status": evaluation.status,
        "readiness": evaluation.readiness,
        "risk_level": evaluation.risk_level,
        "review_labels": list(labels(proposal, evaluation)),
        "target_id": proposal.target_id,
        "target_path": change.target_path,
        "operation_summary": change.operation_summary,
        "diff": change.diff,
        "rollback_context": proposal.rollback_context,
        "applied": applied,
    }


def _last_promotion(
    requested: Sequence[str], selection: Selection, applied: frozenset[str], *, dry_run: bool
) -> LastPromotion:
    chosen = tuple(proposal.proposal_id for proposal, _ in selection.chosen)
    return LastPromotion(
        dry_run=dry_run,
        requested_proposals=tuple(requested),
        selected_proposals=chosen,
        skipped_proposals=tuple(skipped.proposal_id for skipped in selection.skipped),
        applied_proposals=tuple(proposal_id for proposal_id in chosen if proposal_id in applied),
    )
