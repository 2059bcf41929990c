"""Review: the operator's queue, with labels, what blocks a promotion, and what it would change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from appleseed_evolution.commands import command
from appleseed_evolution.evolution.gate import Evaluation, changes_a_file
from appleseed_evolution.evolution.governance import governance_report, governance_row
from appleseed_evolution.evolution.preview import Preview
from appleseed_evolution.evolution.proposals import Proposal
from appleseed_evolution.evolution.report import EvolutionReport, GatedProposal
from appleseed_evolution.jsontext import JsonObject

Label = Literal["ready", "risky", "rollback_sensitive", "operator_review_required", "blocked"]
LABELS: tuple[Label, ...] = ("ready", "risky", "rollback_sensitive", "operator_review_required", "blocked")


def labels(proposal: Proposal, evaluation: Evaluation) -> tuple[Label, ...]:
    """Return what an operator should know of a proposal at a glance."""
    is_ready = evaluation.readiness == "ready_for_promotion"
    found: dict[Label, bool] = {
        "ready": is_ready,
        "risky": is_ready and evaluation.risk_level != "low",
        "rollback_sensitive": changes_a_file(proposal),
        "operator_review_required": evaluation.readiness == "operator_review_required",
        "blocked": evaluation.readiness == "blocked",
    }
    return tuple(label for label in LABELS if found[label])


def operator_review(
    report: EvolutionReport, report_path: Path, previews: Mapping[str, Preview], config_path: Path
) -> JsonObject:
    """Return the review of a report. `previews` has what each proposal would change, by its id."""
    pairs = report.pairs()
    queue: dict[Label, list[str]] = {label: [] for label in LABELS}
    for proposal, evaluation in pairs:
        for label in labels(proposal, evaluation):
            queue[label].append(proposal.proposal_id)
    return {
        **governance_report(report, report_path),
        "proposals": [_row(p, e, previews[p.proposal_id], config_path) for p, e in pairs],
        "review_queue": queue,
    }


def _row(proposal: GatedProposal, evaluation: Evaluation, change: Preview, config_path: Path) -> JsonObject:
    is_ready = evaluation.readiness == "ready_for_promotion"
    return {
        **governance_row(proposal, evaluation),
        "review_labels": list(labels(proposal, evaluation)),
        "promotion_blockers": [] if is_ready else list(evaluation.reasons),
        "promotion_command": (
            command("promote", config_path, "--proposal-id", proposal.proposal_id) if is_ready else None
        ),
        "change_preview": change.to_json(proposal.target_id),
    }
