"""Promotion, decided: what of a report may be applied now, and why not the rest.

A report is only a request. What counts is what the same evidence gives when it is judged again, so that a
report edited by hand promotes nothing.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from appleseed_evolution.evolution.gate import Evaluation
from appleseed_evolution.evolution.report import EvolutionReport, GatedProposal
from ironclaw_contracts.errors import Conflict


class Skipped(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A proposal that is not promoted, and why."""

    proposal_id: str
    skip_reason: str
    status: str | None = None
    readiness: str | None = None


class Selection(Struct, frozen=True):
    """What is promoted, and what is not."""

    chosen: tuple[tuple[GatedProposal, Evaluation], ...]
    skipped: tuple[Skipped, ...]


def check_report(
    reported: EvolutionReport, judged_again: EvolutionReport, digests: Mapping[str, str]
) -> None:
    """Raise `Conflict` naming the proposals that the evidence does not give as reported.

    `digests` are those of the skill files now, by skill id. A proposal whose skill file has changed since
    cannot be compared, and is not promoted either.
    """
    known = {proposal.proposal_id: (proposal, evaluation) for proposal, evaluation in judged_again.pairs()}
    wrong = [
        proposal.proposal_id
        for proposal, evaluation in reported.pairs()
        if not _has_moved(proposal, digests) and known.get(proposal.proposal_id) != (proposal, evaluation)
    ]
    if wrong:
        raise Conflict(
            f"the report says what the ledgers do not: {', '.join(wrong)}; nothing is promoted,"
            " run evolve again"
        )


def select(report: EvolutionReport, requested: Sequence[str], digests: Mapping[str, str]) -> Selection:
    """Return which proposals are promoted: of those requested, or of all when none is, those that may be."""
    pairs = {proposal.proposal_id: (proposal, evaluation) for proposal, evaluation in report.pairs()}
    chosen: list[tuple[GatedProposal, Evaluation]] = []
    skipped: list[Skipped] = []
    for proposal_id in dict.fromkeys(requested or pairs):
        if proposal_id not in pairs:
            skipped.append(Skipped(proposal_id=proposal_id, skip_reason="the report has no such proposal"))
            continue
        proposal, evaluation = pairs[proposal_id]
        reason = _reason_against(proposal, evaluation, digests)
        if reason is None:
            chosen.append((proposal, evaluation))
        else:
            skipped.append(
                Skipped(
                    proposal_id=proposal_id,
                    skip_reason=reason,
                    status=evaluation.status,
                    readiness=evaluation.readiness,
                )
            )
    return Selection(tuple(chosen), tuple(skipped))


def _reason_against(
    proposal: GatedProposal, evaluation: Evaluation, digests: Mapping[str, str]
) -> str | None:
    if evaluation.readiness != "ready_for_promotion" or proposal.proposal_type != "prompt_update":
        return f"it is not ready: {evaluation.readiness}"
    if proposal.target_id not in digests:
        return "its skill file is gone"
    if _has_moved(proposal, digests):
        return "its skill file changed since the report; run evolve again"
    return None


def _has_moved(proposal: GatedProposal, digests: Mapping[str, str]) -> bool:
    """Tell whether the proposal's skill file is no longer what the report was made of."""
    if proposal.proposal_type != "prompt_update":
        return False
    return digests.get(proposal.target_id or "") != proposal.rollback_context.get("target_sha256")
