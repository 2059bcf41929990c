"""The gate: which proposals may change a skill, which a person must judge, which are blocked."""

import shlex
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from appleseed_evolution.config import Runtime
from appleseed_evolution.evolution.proposals import ROUNDING, Proposal

GATE_ID = "appleseed_local_governance_v1"

EvaluationStatus = Literal["approved", "manual_review", "rejected"]
Readiness = Literal["ready_for_promotion", "operator_review_required", "blocked"]
RiskLevel = Literal["low", "medium", "high"]
Mode = Literal["automatic", "manual_review_only"]

_NEAR = 0.1


class GatePolicy(Struct, frozen=True, kw_only=True):
    """The rule that a proposal is judged by."""

    min_evidence: int
    approval_threshold: float
    mode: Mode
    gate_id: str = GATE_ID


class Evaluation(Struct, frozen=True, kw_only=True):
    """The gate's judgement of one proposal."""

    proposal_id: str
    status: EvaluationStatus
    readiness: Readiness
    risk_level: RiskLevel
    reasons: tuple[str, ...]
    operator_actions: tuple[str, ...]


class Summary(Struct, frozen=True, kw_only=True):
    """How many proposals stand where."""

    proposal_count: int
    approved: int
    manual_review_queue: int
    blocked: int
    ready_for_promotion: int
    risky_ready: int
    rollback_sensitive: int
    statuses: dict[str, int]
    gate_id: str = GATE_ID


def policy_for(proposal: Proposal, runtime: Runtime) -> GatePolicy:
    """Return the rule for a proposal: only prompt updates can be applied by a command."""
    return GatePolicy(
        min_evidence=runtime.min_evidence,
        approval_threshold=runtime.approval_threshold,
        mode="automatic" if proposal.proposal_type == "prompt_update" else "manual_review_only",
    )


def evaluate(proposal: Proposal, policy: GatePolicy) -> Evaluation:
    """Judge a proposal."""
    if policy.mode == "manual_review_only":
        return Evaluation(
            proposal_id=proposal.proposal_id,
            status="manual_review",
            readiness="operator_review_required",
            risk_level="medium",
            reasons=(f"a {proposal.proposal_type} is never applied by a command",),
            operator_actions=(f"judge {proposal.proposal_id} and carry it out by hand, or leave it",),
        )
    shortfalls = _shortfalls(proposal, policy)
    if shortfalls:
        return Evaluation(
            proposal_id=proposal.proposal_id,
            status="rejected",
            readiness="blocked",
            risk_level="high",
            reasons=shortfalls,
            operator_actions=("gather more feedback for this skill, then evolve again",),
        )
    is_close = (
        proposal.evidence_count == policy.min_evidence
        or abs(proposal.confidence - policy.approval_threshold) <= _NEAR + ROUNDING
    )
    quoted = shlex.quote(proposal.proposal_id)
    return Evaluation(
        proposal_id=proposal.proposal_id,
        status="approved",
        readiness="ready_for_promotion",
        risk_level="medium" if is_close else "low",
        reasons=(
            f"{proposal.evidence_count} sessions meet the minimum of {policy.min_evidence}",
            f"confidence {proposal.confidence} meets the threshold of {policy.approval_threshold}",
        ),
        operator_actions=(
            f"look at the change with: promote --proposal-id {quoted} --dry-run",
            f"undo it, once promoted, with: rollback --proposal-id {quoted}",
        ),
    )


def summarise(proposals: Iterable[Proposal], evaluations: Iterable[Evaluation]) -> Summary:
    """Count the proposals by where they stand."""
    judged = list(evaluations)
    statuses: dict[str, int] = dict.fromkeys(("approved", "manual_review", "rejected"), 0)
    for evaluation in judged:
        statuses[evaluation.status] += 1
    ready = [e for e in judged if e.readiness == "ready_for_promotion"]
    return Summary(
        proposal_count=len(judged),
        approved=statuses["approved"],
        manual_review_queue=statuses["manual_review"],
        blocked=sum(1 for e in judged if e.readiness == "blocked"),
        ready_for_promotion=len(ready),
        risky_ready=sum(1 for e in ready if e.risk_level != "low"),
        rollback_sensitive=sum(1 for p in proposals if changes_a_file(p)),
        statuses=statuses,
    )


def changes_a_file(proposal: Proposal) -> bool:
    """Tell whether promoting the proposal changes a skill file, which a rollback would have to restore."""
    return proposal.rollback_context.get("strategy") == "restore_skill_file"


def _shortfalls(proposal: Proposal, policy: GatePolicy) -> tuple[str, ...]:
    found: list[str] = []
    if proposal.evidence_count < policy.min_evidence:
        found.append(
            f"{proposal.evidence_count} sessions are fewer than the minimum of {policy.min_evidence}"
        )
    if proposal.confidence < policy.approval_threshold - ROUNDING:
        found.append(
            f"confidence {proposal.confidence} is below the threshold of {policy.approval_threshold}"
        )
    return tuple(found)
