"""The evolution report: the proposals, their evaluations, and the evidence they rest on."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from appleseed_evolution.config import Runtime
from appleseed_evolution.evolution.evidence import Evidence
from appleseed_evolution.evolution.gate import (
    Evaluation,
    GatePolicy,
    Summary,
    evaluate,
    policy_for,
    summarise,
)
from appleseed_evolution.evolution.proposals import Proposal, propose
from appleseed_evolution.jsontext import JsonObject, parse
from appleseed_evolution.skills import SkillFile
from appleseed_evolution.state.directory import Extent
from ironclaw_contracts.errors import BadRequest, NotFound

_DEPTH_MAX = 128


class GatedProposal(Proposal, frozen=True, kw_only=True):
    """A proposal with the rule it is judged by."""

    gate_policy: GatePolicy


class ReportMetadata(Struct, frozen=True, kw_only=True):
    """What a report was made of, and when."""

    generated_at: str
    skill_count: int
    feedback_count: int
    governance_summary: Summary
    evidence: Extent


class EvolutionReport(Struct, frozen=True, kw_only=True):
    """Proposals and evaluations, in one order."""

    proposals: tuple[GatedProposal, ...]
    evaluations: tuple[Evaluation, ...]
    metadata: ReportMetadata

    def pairs(self) -> list[tuple[GatedProposal, Evaluation]]:
        """Return each proposal with its evaluation. Raises `BadRequest` when one is without."""
        judged = {evaluation.proposal_id: evaluation for evaluation in self.evaluations}
        for proposal in self.proposals:
            if proposal.proposal_id not in judged:
                raise BadRequest(f"the report has no evaluation of {proposal.proposal_id}; run evolve again")
        return [(proposal, judged[proposal.proposal_id]) for proposal in self.proposals]


def build_report(
    evidence: Evidence, skills: Sequence[SkillFile], runtime: Runtime, *, now: datetime, min_evidence: int = 0
) -> EvolutionReport:
    """Return what the evidence suggests, judged by the gate.

    `min_evidence` lets proposals in that the gate then blocks; the configured minimum when 0.
    """
    found = propose(evidence.records, skills, min_evidence=min_evidence or runtime.min_evidence)
    gated = tuple(_gated(proposal, policy_for(proposal, runtime)) for proposal in found)
    evaluations = tuple(evaluate(proposal, proposal.gate_policy) for proposal in gated)
    return EvolutionReport(
        proposals=gated,
        evaluations=evaluations,
        metadata=ReportMetadata(
            generated_at=now.isoformat(),
            skill_count=len(skills),
            feedback_count=len(evidence.records),
            governance_summary=summarise(gated, evaluations),
            evidence=evidence.extent,
        ),
    )


def read_report(path: Path) -> tuple[EvolutionReport, JsonObject]:
    """Return a report that was written, and its JSON. Raises `NotFound`, or `BadRequest` for another file."""
    try:
        value = parse(path.read_bytes(), depth_max=_DEPTH_MAX)
        report = msgspec.convert(value, EvolutionReport)
    except FileNotFoundError as error:
        raise NotFound(f"{path} is not there; make an evolution report with: appleseed evolve") from error
    except (msgspec.ValidationError, BadRequest) as error:
        raise BadRequest(f"{path} is no evolution report: {error}") from error
    return report, value


def _gated(proposal: Proposal, policy: GatePolicy) -> GatedProposal:
    return GatedProposal(**msgspec.structs.asdict(proposal), gate_policy=policy)
