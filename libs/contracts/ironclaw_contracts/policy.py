"""The routing policy: which profile does which kind of order, on what figures, and how it was judged.

A policy is a document. It is a pure function of the ledger up to `as_of_seq`, so that it can be derived again
at any time, byte for byte; a promotion carries it whole, so that whoever routes needs nothing but the ledger.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Line, Profile
from ironclaw_contracts.ids import Id, Seq

Share = Annotated[float, Meta(ge=0, le=1)]
PolicyVersion = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""0 is the policy that is built in: everything goes to the default profile."""

DEFAULT_PROFILE = "executor_default"

Readiness = Literal["ready_for_promotion", "operator_review_required", "blocked"]


class PolicyParameters(Struct, frozen=True, kw_only=True):
    """What a policy is made with besides the ledger's events; it stands in the ledger itself.

    `floor` is the share that each profile but the favourite keeps, so that its figures stay fresh.
    `half_life_orders` is after how many orders of one type an outcome weighs half: what was true long ago
    fades. `evidence_min` counts outcomes a profile. `shift_max` bounds how much of a type's orders one
    promotion moves without a person (total variation).
    """

    profiles: list[Profile] = field(default_factory=lambda: [Profile(name=DEFAULT_PROFILE)])
    default_profile: Id = DEFAULT_PROFILE
    floor: Annotated[float, Meta(ge=0, le=0.2)] = 0.05
    evidence_min: Annotated[int, Meta(ge=1, le=10_000)] = 10
    half_life_orders: Annotated[int, Meta(ge=10, le=1_000_000)] = 300
    shift_max: Share = 0.9
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class Interval(Struct, frozen=True):
    """A two-sided 95 % interval."""

    low: Share
    high: Share


class Latency(Struct, frozen=True):
    """Seconds from the first start of an order to its merge, within 1 % (DDSketch)."""

    p50: float
    p90: float
    p99: float


class Figures(Struct, frozen=True, kw_only=True):
    """What a profile came to in one type of order, since the beginning of the ledger.

    `failed` counts orders given up for a cause of their own; `excluded` those that ended for any other:
    cancelled by a person, a lost unit, a provider that was down. `corrected` counts merged work that a person
    rejected or had done again, `mismatches` results whose report claimed what was not so. `success` is
    `merged` without `corrected`, of `merged` and `failed`. `cost_microusd` is in millionths of a US dollar.
    """

    merged: int = 0
    failed: int = 0
    excluded: int = 0
    success_rate: Share | None = None
    success: Interval | None = None
    latency_seconds: Latency | None = None
    retries: int = 0
    gate_failures: int = 0
    mismatches: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microusd: int = 0
    accepted: int = 0
    corrected: int = 0


class Ranked(Struct, frozen=True, kw_only=True):
    """One profile of a task type. `share` is the probability with which an order goes to it.

    `evidence`, `rate` and `interval` are those of the fading memory that ranks; `chance_best` is the
    probability that a draw from its posterior is the greatest.
    """

    profile: Id
    share: Share
    chance_best: Share
    evidence: float
    rate: Share
    interval: Interval
    figures: Figures


class TaskPolicy(Struct, frozen=True, kw_only=True):
    """One type of order: the profiles, best first, and why."""

    task_type: Id
    recommended: Id
    basis: Literal["evidence", "too_little_evidence", "one_profile"]
    reasons: list[str]
    would_change: list[str]
    profiles: list[Ranked]

    def shares(self) -> dict[str, float]:
        """Return the probability of each profile."""
        return {ranked.profile: ranked.share for ranked in self.profiles}


class PolicyDocument(Struct, frozen=True, kw_only=True):
    """A whole policy. `unseen` holds the shares for types of orders that it does not name."""

    version: PolicyVersion
    as_of_seq: Seq
    parameters: PolicyParameters
    tasks: list[TaskPolicy]
    unseen: dict[str, float]

    def shares(self, task_type: str) -> dict[str, float]:
        """Return the probability of each profile for one type of order."""
        found = next((task for task in self.tasks if task.task_type == task_type), None)
        return found.shares() if found is not None else self.unseen


def document_bytes(document: PolicyDocument) -> bytes:
    """Return the bytes of a policy: equal policies give equal bytes."""
    return msgspec.json.encode(document, order="sorted")


class Estimate(Struct, frozen=True):
    """The success rate that a policy would have, and its two-sided 95 % bounds."""

    value: float
    low: float
    high: float


class TaskEvaluation(Struct, frozen=True, kw_only=True):
    """One task type whose shares change. `incumbent` is the policy in force, by the same method.

    `outcomes` is how many routed outcomes the estimates rest on, as far as they still count; `shift` is the
    part of the orders that goes elsewhere; `unsupported` names profiles that would get orders and were never
    drawn.
    """

    task_type: Id
    outcomes: float
    shift: float
    ips: Estimate
    doubly_robust: Estimate
    incumbent: Estimate
    unsupported: list[str] = field(default_factory=list[str])


class Check(Struct, frozen=True):
    """One question of the gate."""

    name: Id
    passed: bool
    detail: str


class Evaluation(Struct, frozen=True, kw_only=True):
    """What the gate found about a proposal."""

    readiness: Readiness
    checks: list[Check]
    tasks: list[TaskEvaluation]


class Routing(Struct, frozen=True, kw_only=True):
    """How an order came to its profile.

    `propensity` is the probability with which it was drawn; absent when nothing was drawn, because the
    request or a replay named the profile.
    """

    policy_version: PolicyVersion
    basis: Literal["policy", "default", "pinned", "replay"]
    reason: Line
    propensity: Annotated[float, Meta(gt=0, le=1)] | None = None


class Charged(Struct, frozen=True, kw_only=True):
    """An order that a feedback is about, as it was routed.

    `policy_version` is the one that it was routed by; older feedback does not say.
    """

    order_id: Id | None = None
    task_type: Id
    profile: Id
    propensity: Annotated[float, Meta(gt=0, le=1)] | None = None
    policy_version: PolicyVersion | None = None


Verdict = Literal["accept", "reject", "redo"]


class FollowUp(Struct, frozen=True):
    """What a message says about an earlier run: its result is rejected, or is to be made again."""

    run_id: Id
    verdict: Literal["reject", "redo"]
