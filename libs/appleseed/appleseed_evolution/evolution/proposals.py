"""Proposals: what the feedback suggests to change, and on how many distinct sessions that rests."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import UNSET, Struct

from appleseed_evolution.contract import Feedback
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.skills import Skill, SkillFile, tokens

ProposalType = Literal["prompt_update", "workflow_candidate", "capability_gap"]

_FAILING_BELOW, _SUCCEEDING_FROM = 0.6, 0.75
ROUNDING = 1e-9
"""What a comparison with a threshold allows for: 0.35 + 0.15 * 2 meets 0.65."""
_TERMS_MAX, _TERM_LENGTH_MIN, _STEPS_MIN = 3, 3, 2
_EMPTY_TERMS = frozenset({"how", "i"})
_DIGITS = 6  # a confidence is a sum of decimals; rounding takes the binary noise off


class Proposal(Struct, frozen=True, kw_only=True):
    """One suggestion. `evidence_count` counts distinct sessions; `confidence` is from 0 to 1."""

    proposal_id: str
    proposal_type: ProposalType
    title: str
    summary: str
    rationale: str
    evidence_count: int
    confidence: float
    target_id: str | None
    changes: JsonObject
    rollback_context: JsonObject


def propose(
    records: Sequence[Feedback], skills: Sequence[SkillFile], *, min_evidence: int
) -> tuple[Proposal, ...]:
    """Return the proposals that rest on at least `min_evidence` sessions."""
    failing = [record for record in records if record.score < _FAILING_BELOW - ROUNDING]
    succeeding = [record for record in records if record.score >= _SUCCEEDING_FROM - ROUNDING]
    return (
        *_prompt_updates(failing, skills, min_evidence),
        *_workflow_candidates(succeeding, min_evidence),
        *_capability_gaps(failing, min_evidence),
    )


def sessions(records: Iterable[Feedback]) -> int:
    """Return how many distinct sessions the records are of: repeated deliveries of one add nothing."""
    return len({record.session_id for record in records})


def _prompt_updates(
    failing: Sequence[Feedback], skills: Sequence[SkillFile], min_evidence: int
) -> Iterable[Proposal]:
    for file in skills:
        skill = file.skill
        about = [record for record in failing if skill.id in record.selected_skill_ids]
        count = sessions(about)
        terms = _missing_terms(skill, about)
        if count < min_evidence or not terms:
            continue
        named = ", ".join(terms)
        yield Proposal(
            proposal_id=f"prompt-{skill.id}",
            proposal_type="prompt_update",
            title=f"Extend {skill.name} to cover {named}",
            summary=f"Add the tags {named} to {skill.name} and name them in its description.",
            rationale=f"{count} sessions that selected {skill.name} scored below {_FAILING_BELOW}; their"
            f" tasks and comments speak of {named}, of which the skill says nothing.",
            evidence_count=count,
            confidence=_bounded(0.45 + 0.1 * count + 0.05 * len(terms), 0.95),
            target_id=skill.id,
            changes={"add_tags": terms, "description_append": f"Also covers {named}."},
            rollback_context={
                "strategy": "restore_skill_file",
                "target_path": str(file.path.resolve()),
                "target_sha256": file.digest,
            },
        )


def _missing_terms(skill: Skill, records: Iterable[Feedback]) -> list[str]:
    known = set(tokens(" ".join((skill.name, skill.description, *skill.tags))))
    # The same words about the same session are a repeated delivery, which counts once.
    texts = {
        (record.session_id, record.task, "" if record.comment is UNSET else record.comment)
        for record in records
    }
    counts = Counter(
        word
        for _, task, comment in texts
        for word in tokens(f"{task} {comment}")
        if len(word) >= _TERM_LENGTH_MIN and word not in _EMPTY_TERMS and word not in known
    )
    return sorted(counts, key=lambda word: (-counts[word], word))[:_TERMS_MAX]


def _workflow_candidates(succeeding: Iterable[Feedback], min_evidence: int) -> Iterable[Proposal]:
    groups: defaultdict[tuple[str, ...], list[Feedback]] = defaultdict(list)
    for record in succeeding:
        if len(record.steps) >= _STEPS_MIN:
            groups[record.steps].append(record)
    counts = {steps: sessions(group) for steps, group in groups.items()}
    ranked = sorted(
        (s for s, count in counts.items() if count >= min_evidence), key=lambda s: (-counts[s], s)
    )
    for number, steps in enumerate(ranked, start=1):
        yield _manual(
            f"workflow-{number}",
            "workflow_candidate",
            title=f"Reuse a workflow of {len(steps)} steps",
            summary=f"Make a workflow of: {'; '.join(steps)}.",
            rationale=f"{counts[steps]} sessions took these steps and scored at least {_SUCCEEDING_FROM}.",
            count=counts[steps],
            confidence=_bounded(0.35 + 0.15 * counts[steps], 0.9),
            changes={"workflow_steps": list(steps)},
        )


def _capability_gaps(failing: Iterable[Feedback], min_evidence: int) -> Iterable[Proposal]:
    groups: defaultdict[str, list[Feedback]] = defaultdict(list)
    for record in failing:
        for name in {" ".join(name.lower().split()) for name in record.missing_capabilities} - {""}:
            groups[name].append(record)
    for name in sorted(groups):
        count = sessions(groups[name])
        if count < min_evidence:
            continue
        yield _manual(
            f"capability-{'-'.join(name.split())}",
            "capability_gap",
            title=f"Missing capability: {name}",
            summary=f"Provide the capability {name}.",
            rationale=f"{count} sessions that scored below {_FAILING_BELOW} lacked it.",
            count=count,
            confidence=_bounded(0.4 + 0.12 * count, 0.95),
            changes={"recommended_capability": name},
        )


def _manual(
    proposal_id: str,
    kind: ProposalType,
    *,
    title: str,
    summary: str,
    rationale: str,
    count: int,
    confidence: float,
    changes: JsonObject,
) -> Proposal:
    """Return a proposal that no command applies: a person does, by hand."""
    return Proposal(
        proposal_id=proposal_id,
        proposal_type=kind,
        title=title,
        summary=summary,
        rationale=rationale,
        evidence_count=count,
        confidence=confidence,
        target_id=None,
        changes=changes,
        rollback_context={"strategy": "no_automatic_changes_applied"},
    )


def _bounded(confidence: float, confidence_max: float) -> float:
    return round(min(confidence_max, confidence), _DIGITS)
