"""The learning service's endpoints (seed 3.10)."""

from typing import Annotated

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Line
from ironclaw_contracts.as_of import AsOf
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.endpoints.learning_appleseed import GIVE_FEEDBACK, INGEST_EVENTS, ROUTE_TASK
from ironclaw_contracts.endpoints.learning_skills import (
    GET_SKILL_REVIEW,
    PROMOTE_SKILL,
    REVIEW_SKILLS,
    ROLL_BACK_SKILL,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Sha256
from ironclaw_contracts.policy import (
    Evaluation,
    Figures,
    PolicyDocument,
    PolicyParameters,
    PolicyVersion,
    Share,
    Verdict,
)


class Tick(Struct, frozen=True):
    """What one tick did: how many events it took in, up to which seq, and what it changed in the policy."""

    events: int
    as_of_seq: int
    in_force: int
    changes: list[str]


class PolicyQuery(Struct, frozen=True):
    """With `as_of` everything is derived again from the ledger, up to that point."""

    as_of: AsOf | None = None


class Live(Struct, frozen=True):
    """Outcomes of one task type under the version in force, as far as they still count."""

    outcomes: float
    success_rate: Share | None


class Proposal(Struct, frozen=True, kw_only=True):
    """A proposal that waits. `evaluation` is the gate's as of now, not as of when it was proposed."""

    version: PolicyVersion
    reason: str
    diff: list[str]
    document: PolicyDocument
    evaluation: Evaluation


class PolicyView(Struct, frozen=True, kw_only=True):
    """Everything about the routing policy as of `as_of_seq`.

    `in_force` is absent while the built-in policy holds: everything goes to the default profile. `drafted` is
    what the figures argue for by themselves, `sha256` the digest of its bytes. `figures` are by task type and
    profile, profiles that cannot be chosen any more included. `history` has the versions that were in force.
    """

    as_of_seq: int
    version: PolicyVersion
    parameters: PolicyParameters
    in_force: PolicyDocument | None
    live: dict[str, Live]
    drafted: PolicyDocument
    sha256: Sha256
    proposal: Proposal | None
    figures: dict[str, dict[str, Figures]]
    history: list[PolicyVersion]
    autopromote: bool


class Promotion(Struct, frozen=True):
    """Which proposal, and who says so."""

    version: PolicyVersion
    by: Line


class Rollback(Struct, frozen=True):
    """Who takes the policy in force back, and why."""

    by: Line
    reason: Line


class FeedbackRequest(Struct, frozen=True):
    """What somebody thinks of the result of a run that has ended."""

    verdict: Verdict
    by: Line
    comment: Annotated[str, Meta(max_length=4_000)] = ""


class FeedbackAnswer(Struct, frozen=True):
    """`counts_for` are the orders that it counts for; none when an earlier one of its kind counts already."""

    event_id: str
    counts_for: list[str] = field(default_factory=list[str])


_GATEWAY = frozenset({Service.API_GATEWAY})

LEARN_TICK = Endpoint(
    service=Service.LEARNING,
    name="learn_tick",
    method="POST",
    path="/learn/tick",
    summary="Take in what the ledger has, and draw the conclusions.",
    body=Nothing,
    query=Nothing,
    answer=Tick,
    callers=_GATEWAY,
    timeout_seconds=600.0,
)
GET_POLICY = Endpoint(
    service=Service.LEARNING,
    name="get_policy",
    method="GET",
    path="/policy",
    summary="The routing policy, its figures and what is proposed; now or as of a seq.",
    body=Nothing,
    query=PolicyQuery,
    answer=PolicyView,
    callers=_GATEWAY,
    timeout_seconds=600.0,
)
PROMOTE_POLICY = Endpoint(
    service=Service.LEARNING,
    name="promote_policy",
    method="POST",
    path="/policy/promote",
    summary="Put the proposal that waits in force.",
    body=Promotion,
    query=Nothing,
    answer=PolicyView,
    callers=_GATEWAY,
    idempotent=False,
    timeout_seconds=60.0,
)
ROLL_BACK_POLICY = Endpoint(
    service=Service.LEARNING,
    name="roll_back_policy",
    method="POST",
    path="/policy/rollback",
    summary="Put the version before the one in force back.",
    body=Rollback,
    query=Nothing,
    answer=PolicyView,
    callers=_GATEWAY,
    idempotent=False,
    timeout_seconds=60.0,
)
RECORD_FEEDBACK = Endpoint(
    service=Service.LEARNING,
    name="record_feedback",
    method="POST",
    path="/runs/{run_id}/feedback",
    summary="Record what somebody thinks of a run's result.",
    body=FeedbackRequest,
    query=Nothing,
    answer=FeedbackAnswer,
    callers=_GATEWAY,
)
ENDPOINTS = (
    LEARN_TICK,
    GET_POLICY,
    PROMOTE_POLICY,
    ROLL_BACK_POLICY,
    RECORD_FEEDBACK,
    INGEST_EVENTS,
    GIVE_FEEDBACK,
    ROUTE_TASK,
    GET_SKILL_REVIEW,
    REVIEW_SKILLS,
    PROMOTE_SKILL,
    ROLL_BACK_SKILL,
)
