"""From what is remembered to a policy: shares, ranks, and reasons in words. Pure.

The same memory gives the same document, byte for byte; nothing here knows the time or draws a number.
"""

import math
from collections.abc import Mapping

from ironclaw_contracts.policy import (
    Figures,
    Interval,
    Latency,
    PolicyDocument,
    PolicyParameters,
    Ranked,
    TaskPolicy,
)
from ironclaw_learning.intervals import rounded, wilson
from ironclaw_learning.learned import Cell, Learned, Memory, TaskMemory
from ironclaw_learning.offpolicy import mean
from ironclaw_learning.sketch import quantile
from ironclaw_learning.thompson import chances_best, with_floor

_RUNNERS_UP_MAX = 3


def draft(learned: Learned) -> PolicyDocument:
    """Return the policy that the memory argues for, whatever is in force."""
    given = learned.given
    return PolicyDocument(
        version=learned.proposed_version + 1,
        as_of_seq=learned.seq,
        parameters=given,
        tasks=[_task(name, learned.tasks[name], given) for name in sorted(learned.tasks)],
        unseen=with_floor({given.default_profile: 1.0}, names_of(given), given.floor),
    )


def names_of(given: PolicyParameters) -> list[str]:
    """Return the profiles that orders can be routed to."""
    return [profile.name for profile in given.profiles]


def _task(task_type: str, task: TaskMemory, given: PolicyParameters) -> TaskPolicy:
    names = names_of(given)
    memories = {name: task.memory.get(name, Memory()) for name in names}
    known = [name for name in names if memories[name].n >= given.evidence_min]
    posteriors = {name: (m.reward + 1, m.n - m.reward + 1) for name, m in memories.items()}
    compared = known if len(known) > 1 else names
    chances = chances_best({name: posteriors[name] for name in compared})
    if len(names) == 1:
        shares, basis = {names[0]: 1.0}, "one_profile"
    elif len(known) < 2:
        shares, basis = with_floor({given.default_profile: 1.0}, names, given.floor), "too_little_evidence"
    else:
        shares, basis = with_floor(chances, names, given.floor), "evidence"
    ranked = sorted(
        (
            Ranked(
                profile=name,
                share=shares[name],
                chance_best=rounded(chances.get(name, 0.0)),
                evidence=rounded(memories[name].n),
                rate=rounded(mean(memories[name])),
                interval=wilson(memories[name].reward, memories[name].n),
                figures=figures(task.cells.get(name, Cell())),
            )
            for name in names
        ),
        key=lambda r: (-r.share, -r.chance_best, r.profile),
    )
    return TaskPolicy(
        task_type=task_type,
        recommended=ranked[0].profile,
        basis=basis,
        reasons=_reasons(basis, ranked, given),
        would_change=_would_change(basis, ranked, given),
        profiles=ranked,
    )


def figures(cell: Cell) -> Figures:
    """Return the counts of a cell with the rates that follow from them."""
    counted = cell.merged + cell.failed
    good = max(0, cell.merged - cell.corrected)
    return Figures(
        merged=cell.merged,
        failed=cell.failed,
        excluded=cell.excluded,
        success_rate=rounded(good / counted) if counted else None,
        success=wilson(good, counted) if counted else None,
        latency_seconds=Latency(*(float(f"{quantile(cell.latency, q):.4g}") for q in (0.5, 0.9, 0.99)))
        if cell.latency
        else None,
        retries=cell.retries,
        gate_failures=cell.gate_failures,
        mismatches=cell.mismatches,
        cost_microusd=cell.cost_microusd,
        tokens_in=cell.tokens_in,
        tokens_out=cell.tokens_out,
        accepted=cell.accepted,
        corrected=cell.corrected,
    )


def _reasons(basis: str, ranked: list[Ranked], given: PolicyParameters) -> list[str]:
    if basis == "one_profile":
        return [f"{ranked[0].profile} is the only profile there is"]
    if basis == "too_little_evidence":
        return [
            f"too little evidence to choose by: fewer than two profiles have {given.evidence_min} outcomes,"
            f" so the default profile {given.default_profile} leads",
            f"each other profile keeps a share of {_other_share(ranked):.0%}, so that there will be evidence",
        ]
    first, second = ranked[0], ranked[1]
    return [
        f"{first.profile} succeeds in {first.rate:.1%} ({_span(first.interval)}) of its last orders",
        f"the chance that it is the best is {first.chance_best:.1%}; {second.profile}, the next, succeeds in"
        f" {second.rate:.1%} ({_span(second.interval)})",
    ]


def _would_change(basis: str, ranked: list[Ranked], given: PolicyParameters) -> list[str]:
    if basis == "one_profile":
        return ["another profile in IRONCLAW_LEARNING_PROFILES"]
    if basis == "too_little_evidence":
        return [
            f"{math.ceil(given.evidence_min - r.evidence)} more outcomes of {r.profile}"
            f" (it has {r.evidence:.0f} of {given.evidence_min})"
            for r in ranked
            if r.evidence < given.evidence_min
        ]
    first = ranked[0]
    return [
        f"{r.profile} above {first.rate:.1%}, or {first.profile} below {r.rate:.1%}"
        if r.evidence >= given.evidence_min
        else f"{math.ceil(given.evidence_min - r.evidence)} more outcomes of {r.profile} to be compared"
        for r in ranked[1 : _RUNNERS_UP_MAX + 1]
    ]


def _other_share(ranked: list[Ranked]) -> float:
    return min(r.share for r in ranked)


def _span(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Return which shares change, greatest change first, in words."""
    names = sorted(set(before) | set(after), key=lambda n: (-abs(after.get(n, 0.0) - before.get(n, 0.0)), n))
    return [
        f"{name} {before.get(name, 0.0):.1%} -> {after.get(name, 0.0):.1%}"
        for name in names
        if before.get(name, 0.0) != after.get(name, 0.0)
    ]
