"""Which part of a drafted policy is proposed, and whether it may be promoted. Pure.

Every change is judged by its task type alone: a type for which nothing is proven keeps the shares that are in
force, and does not hold up another for which something is.
"""

from collections.abc import Mapping

import msgspec

from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import (
    Check,
    Evaluation,
    PolicyDocument,
    Ranked,
    Readiness,
    TaskEvaluation,
    TaskPolicy,
)
from ironclaw_learning.drafting import difference, draft
from ironclaw_learning.intervals import wilson
from ironclaw_learning.learned import InForce, Learned
from ironclaw_learning.offpolicy import evaluate, shift

_SHIFT_MIN = 0.02
"""A change of shares below this is noise, and no reason to ask anybody."""
_SHIFT_NEW = 0.1
"""A proposal that waits is replaced by one that differs by this much."""


def propose(learned: Learned) -> PolicyUpdated | None:
    """Return the proposal that the memory argues for now; None when what is in force, or waits, is as good.

    What is better by its lower bound is proposed by itself. What cannot be judged, because nothing was ever
    drawn, is proposed only when nothing is better: it needs a person.
    """
    wanted = draft(learned)
    found = {task.task_type: _judge(learned, task, wanted) for task in wanted.tasks}
    moved = {name: e for name, e in found.items() if e.shift >= _SHIFT_MIN}
    better = {
        name for name, e in moved.items() if not e.unsupported and e.doubly_robust.low > e.incumbent.value
    }
    untried = {name for name, e in moved.items() if e.unsupported}
    unseen_moves = shift(wanted.unseen, _unseen(learned)) >= _SHIFT_MIN
    if better:
        document = _only(learned, wanted, better, found, unseen=False)
    elif untried or unseen_moves:
        document = _only(learned, wanted, untried, found, unseen=True)
    else:
        return None
    evaluation = judge(learned, document)
    if _waits_already(learned.proposal, document, evaluation):
        return None
    return PolicyUpdated(
        action="proposed",
        version=document.version,
        replaces=learned.in_force.version,
        by="learning",
        reason=_why(better, untried),
        document=document,
        evaluation=evaluation,
        diff=differences(learned.in_force, document),
    )


def judge(learned: Learned, document: PolicyDocument) -> Evaluation:
    """Return what the gate finds about a policy on the figures as they are now."""
    types = sorted(set(learned.tasks) & {task.task_type for task in document.tasks})
    found = [
        e
        for e in (
            evaluate(name, learned.tasks[name], document.shares(name), _shares(learned, name))
            for name in types
        )
        if e.shift >= _SHIFT_MIN
    ]
    unseen = shift(document.unseen, _unseen(learned))
    given = document.parameters
    unsupported = {name: e.unsupported for name, e in ((e.task_type, e) for e in found) if e.unsupported}
    thin = [e.task_type for e in found if e.outcomes < given.evidence_min]
    unproven = [e for e in found if e.doubly_robust.low <= e.incumbent.value]
    worse = [e for e in found if not e.unsupported and e.doubly_robust.high < e.incumbent.value]
    large = [e for e in found if e.shift > given.shift_max]
    checks = [
        Check("enough_evidence", not thin, _listed("fewer than evidence_min outcomes", thin)),
        Check(
            "supported",
            not unsupported and unseen < _SHIFT_MIN,
            _listed("never drawn so far", [f"{n}: {', '.join(p)}" for n, p in unsupported.items()])
            if unsupported or unseen < _SHIFT_MIN
            else f"{unseen:.0%} of the orders of new types would go elsewhere, untried",
        ),
        Check(
            "no_regression", not worse, _listed("worse than what is in force", [_beside(e) for e in worse])
        ),
        Check(
            "proven_better",
            not unproven and bool(found),
            _listed("the lower bound does not beat what is in force", [_beside(e) for e in unproven])
            if found
            else "no task type with outcomes changes",
        ),
        Check(
            "bounded_change",
            not large,
            _listed(f"more than {given.shift_max:.0%} move", [f"{e.task_type} {e.shift:.0%}" for e in large]),
        ),
    ]
    return Evaluation(readiness=_readiness(checks), checks=checks, tasks=found)


def demotion(learned: Learned) -> str | None:
    """Return why the policy in force has to go: its live figures fell below what it replaced; else None."""
    evaluation = learned.in_force.evaluation
    for task in evaluation.tasks if evaluation is not None else []:
        live = learned.task(task.task_type).live
        if task.unsupported or live.n < learned.given.evidence_min:
            continue
        high = wilson(live.reward, live.n).high
        if high < task.incumbent.value:
            return (
                f"{task.task_type}: the live success rate is {live.reward / live.n:.1%}, at most {high:.1%};"
                f" what it replaced came to {task.incumbent.value:.1%}"
            )
    return None


def differences(in_force: InForce, document: PolicyDocument) -> list[str]:
    """Return what a policy changes, a line for each task type."""
    default = document.parameters.default_profile
    named = [(task.task_type, document.shares(task.task_type)) for task in document.tasks]
    lines: list[str] = []
    for name, shares in [*named, ("(new types)", document.unseen)]:
        changed = difference(in_force.shares(name, default), shares)
        if changed:
            lines.append(f"{name}: {', '.join(changed)}"[:2_000])
    return lines


def _judge(learned: Learned, task: TaskPolicy, wanted: PolicyDocument) -> TaskEvaluation:
    name = task.task_type
    return evaluate(name, learned.tasks[name], wanted.shares(name), _shares(learned, name))


def _shares(learned: Learned, task_type: str) -> dict[str, float]:
    return learned.in_force.shares(task_type, learned.given.default_profile)


def _unseen(learned: Learned) -> dict[str, float]:
    document = learned.in_force.document
    return document.unseen if document is not None else {learned.given.default_profile: 1.0}


def _only(
    learned: Learned,
    wanted: PolicyDocument,
    types: set[str],
    found: Mapping[str, TaskEvaluation],
    *,
    unseen: bool,
) -> PolicyDocument:
    """Return the wanted policy for these types of orders, and what is in force for all others."""
    return msgspec.structs.replace(
        wanted,
        tasks=[
            task if task.task_type in types else _kept(learned, task, found[task.task_type])
            for task in wanted.tasks
        ],
        unseen=wanted.unseen if unseen else _unseen(learned),
    )


def _kept(learned: Learned, task: TaskPolicy, found: TaskEvaluation) -> TaskPolicy:
    shares = _shares(learned, task.task_type)
    kept = [msgspec.structs.replace(r, share=shares.get(r.profile, 0.0)) for r in task.profiles]
    ranked: list[Ranked] = sorted(kept, key=lambda r: (-r.share, -r.chance_best, r.profile))
    reason = f"kept as in version {learned.in_force.version}"
    if found.shift >= _SHIFT_MIN:
        reason += f": another split is not proven better, {_beside(found)}"
    return msgspec.structs.replace(
        task, recommended=ranked[0].profile, reasons=[reason, *task.reasons], profiles=ranked
    )


def _readiness(checks: list[Check]) -> Readiness:
    passed = {check.name: check.passed for check in checks}
    if not passed["no_regression"]:
        return "blocked"
    if not passed["supported"] or not passed["bounded_change"]:
        return "operator_review_required"
    return "ready_for_promotion" if all(passed.values()) else "blocked"


def _waits_already(waiting: PolicyUpdated | None, document: PolicyDocument, evaluation: Evaluation) -> bool:
    """Tell whether a proposal that waits says about the same."""
    if waiting is None or waiting.document is None or waiting.evaluation is None:
        return False
    old = waiting.document
    names = {task.task_type for task in (*old.tasks, *document.tasks)}
    return (
        waiting.evaluation.readiness == evaluation.readiness
        and old.parameters == document.parameters
        and shift(old.unseen, document.unseen) < _SHIFT_NEW
        and all(shift(old.shares(name), document.shares(name)) < _SHIFT_NEW for name in sorted(names))
    )


def _why(better: set[str], untried: set[str]) -> str:
    if better:
        return f"proven better for {', '.join(sorted(better))}"[:2_000]
    types = f" for {', '.join(sorted(untried))}" if untried else ""
    return f"profiles that were never tried get a share{types}"[:2_000]


def _beside(found: TaskEvaluation) -> str:
    new, old = found.doubly_robust, found.incumbent
    return f"{found.task_type} {new.value:.1%} ({new.low:.1%} to {new.high:.1%}) beside {old.value:.1%}"


def _listed(what: str, items: list[str]) -> str:
    return f"{what}: {'; '.join(items)}" if items else "yes"
