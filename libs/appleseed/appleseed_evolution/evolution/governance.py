"""Governance: each proposal joined with its evaluation, for an operator to read."""

from pathlib import Path

from appleseed_evolution.contract import to_json
from appleseed_evolution.evolution.gate import Evaluation
from appleseed_evolution.evolution.report import EvolutionReport, GatedProposal
from appleseed_evolution.jsontext import JsonObject


def governance_report(report: EvolutionReport, report_path: Path | None) -> JsonObject:
    """Return the governance report; `report_path` is None when the report was not written."""
    return {
        "summary": to_json(report.metadata.governance_summary),
        "proposals": [governance_row(*pair) for pair in report.pairs()],
        "metadata": to_json(report.metadata),
        "report_path": None if report_path is None else str(report_path),
    }


def governance_row(proposal: GatedProposal, evaluation: Evaluation) -> JsonObject:
    """Return one proposal with what the gate says of it."""
    return {
        **to_json(proposal),
        "status": evaluation.status,
        "readiness": evaluation.readiness,
        "risk_level": evaluation.risk_level,
        "reasons": list(evaluation.reasons),
        "operator_actions": list(evaluation.operator_actions),
    }
