"""What a policy would have come to, estimated from orders that another one routed.

Inverse propensity scoring (Horvitz and Thompson, 1952) weighs each outcome by how much likelier the policy
would have made it; the doubly robust estimate (Dudík, Langford and Li, ICML 2011) gives that weight only to
what a direct model of the profile's rate gets wrong. Outcomes fade, so there are `(Σw)² / Σw²` of them.
"""

import math
from collections.abc import Mapping

from ironclaw_contracts.policy import Estimate, TaskEvaluation
from ironclaw_learning.intervals import Z, rounded
from ironclaw_learning.learned import Memory, TaskMemory

Shares = Mapping[str, float]


def evaluate(task_type: str, task: TaskMemory, proposed: Shares, incumbent: Shares) -> TaskEvaluation:
    """Return what a proposal would do to one type of order, beside the policy in force."""
    return TaskEvaluation(
        task_type=task_type,
        outcomes=rounded(task.weight),
        shift=shift(proposed, incumbent),
        ips=inverse_propensity(task, proposed),
        doubly_robust=doubly_robust(task, proposed),
        incumbent=doubly_robust(task, incumbent),
        unsupported=sorted(
            name
            for name, share in proposed.items()
            if share > incumbent.get(name, 0.0) and _memory(task, name).inverse == 0
        ),
    )


def shift(proposed: Shares, incumbent: Shares) -> float:
    """Return the part of the orders that goes elsewhere: the total variation between two policies."""
    names = set(proposed) | set(incumbent)
    return rounded(sum(abs(proposed.get(n, 0.0) - incumbent.get(n, 0.0)) for n in sorted(names)) / 2)


def inverse_propensity(task: TaskMemory, shares: Shares) -> Estimate:
    """Return the IPS estimate. Without outcomes it says nothing: 0 to 1."""
    first = second = 0.0
    for name, share in shares.items():
        memory = _memory(task, name)
        first += share * memory.reward_inverse
        second += share * share * _cautious(memory) * memory.inverse_square
    return _estimate(task, 0.0, first, second)


def doubly_robust(task: TaskMemory, shares: Shares) -> Estimate:
    """Return the doubly robust estimate, with each profile's posterior mean as its direct model.

    An outcome is 0 or 1, so its variance follows from the rate.
    """
    direct = first = second = 0.0
    for name, share in shares.items():
        memory = _memory(task, name)
        rate = mean(memory)
        direct += share * rate
        first += share * (memory.reward_inverse - rate * memory.inverse)
        cautious = _cautious(memory)
        second += share * share * cautious * (1 - cautious) * memory.inverse_square
    return _estimate(task, direct, first, second)


def mean(memory: Memory) -> float:
    """Return the mean of a profile's posterior under a flat prior."""
    return (memory.reward + 1) / (memory.n + 2)


def _cautious(memory: Memory) -> float:
    """Return the rate for estimates of variance, as Agresti and Coull take it: few outcomes prove little."""
    return (memory.reward + 2) / (memory.n + 4)


def _memory(task: TaskMemory, profile: str) -> Memory:
    return task.memory.get(profile, Memory())


def _estimate(task: TaskMemory, offset: float, first: float, second: float) -> Estimate:
    """Return an estimate from the weighted sums of a term and of its square."""
    if task.weight == 0:
        return Estimate(0.5, 0.0, 1.0)
    average = first / task.weight
    variance = max(0.0, second / task.weight - average * average)
    # Without spread among few outcomes there is still doubt: the term's own range over their number.
    outcomes = task.weight * task.weight / task.weight_square
    error = math.sqrt(variance / outcomes) + 1 / (outcomes + 1)
    value = offset + average
    low, high = value - Z * error, value + Z * error
    return Estimate(*(rounded(min(1.0, max(0.0, bound))) for bound in (value, low, high)))
