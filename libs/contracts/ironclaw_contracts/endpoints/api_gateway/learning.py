"""What people tell the fleet about its work, and what operators do with the routing policy."""

from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.artifacts import Line
from ironclaw_contracts.endpoint import OPERATORS, USERS, Endpoint, Nothing
from ironclaw_contracts.endpoints.co import Replay, ReplayId
from ironclaw_contracts.endpoints.learning import FeedbackAnswer, PolicyQuery, PolicyView, Tick
from ironclaw_contracts.endpoints.learning_skills import SkillReview
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Id
from ironclaw_contracts.policy import PolicyVersion, Verdict


class Opinion(Struct, frozen=True):
    """What somebody thinks of a run's result; who is who holds the key."""

    verdict: Verdict
    comment: Annotated[str, Meta(max_length=4_000)] = ""


class PromotionRequest(Struct, frozen=True):
    """The version of the proposal; who promotes is who holds the key."""

    version: PolicyVersion


class ReplayWish(Struct, frozen=True):
    """Which profile does the orders of a run again. The same `replay_id` again starts nothing twice."""

    profile: Id
    replay_id: ReplayId | None = None


class SkillWish(Struct, frozen=True):
    """Which of Appleseed's proposals; who decides is who holds the key."""

    proposal_id: Line


class RollbackRequest(Struct, frozen=True):
    reason: Line = "rolled back by an operator"


GIVE_FEEDBACK = Endpoint(
    service=Service.API_GATEWAY,
    name="give_feedback",
    method="POST",
    path="/runs/{run_id}/feedback",
    summary="Say what you think of a run's result: accept, reject or redo.",
    body=Opinion,
    query=Nothing,
    answer=FeedbackAnswer,
    callers=USERS,
)
GET_POLICY = Endpoint(
    service=Service.API_GATEWAY,
    name="get_policy",
    method="GET",
    path="/policy",
    summary="The routing policy, its figures and what is proposed; now or as of a seq.",
    body=Nothing,
    query=PolicyQuery,
    answer=PolicyView,
    callers=OPERATORS,
    timeout_seconds=600.0,
)
LEARN_TICK = Endpoint(
    service=Service.API_GATEWAY,
    name="learn_tick",
    method="POST",
    path="/learn/tick",
    summary="Have learning take in what the ledger has now.",
    body=Nothing,
    query=Nothing,
    answer=Tick,
    callers=OPERATORS,
    timeout_seconds=600.0,
)
PROMOTE_POLICY = Endpoint(
    service=Service.API_GATEWAY,
    name="promote_policy",
    method="POST",
    path="/policy/promote",
    summary="Put the proposal that waits in force.",
    body=PromotionRequest,
    query=Nothing,
    answer=PolicyView,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=60.0,
)
ROLL_BACK_POLICY = Endpoint(
    service=Service.API_GATEWAY,
    name="roll_back_policy",
    method="POST",
    path="/policy/rollback",
    summary="Put the version before the one in force back.",
    body=RollbackRequest,
    query=Nothing,
    answer=PolicyView,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=60.0,
)
GET_SKILL_REVIEW = Endpoint(
    service=Service.API_GATEWAY,
    name="get_skill_review",
    method="GET",
    path="/skills/review",
    summary="Appleseed's review queue as it was last judged.",
    body=Nothing,
    query=Nothing,
    answer=SkillReview,
    callers=OPERATORS,
)
REVIEW_SKILLS = Endpoint(
    service=Service.API_GATEWAY,
    name="review_skills",
    method="POST",
    path="/skills/review",
    summary="Have Appleseed propose and judge anew from the evidence as it is now.",
    body=Nothing,
    query=Nothing,
    answer=SkillReview,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=60.0,
)
PROMOTE_SKILL = Endpoint(
    service=Service.API_GATEWAY,
    name="promote_skill",
    method="POST",
    path="/skills/promote",
    summary="Apply a proposal that is ready to its skill file.",
    body=SkillWish,
    query=Nothing,
    answer=SkillReview,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=60.0,
)
ROLL_BACK_SKILL = Endpoint(
    service=Service.API_GATEWAY,
    name="roll_back_skill",
    method="POST",
    path="/skills/rollback",
    summary="Restore the skill file that a promotion changed.",
    body=SkillWish,
    query=Nothing,
    answer=SkillReview,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=60.0,
)
REPLAY_RUN = Endpoint(
    service=Service.API_GATEWAY,
    name="replay_run",
    method="POST",
    path="/runs/{run_id}/replay",
    summary="Do a run's orders again with another profile, in scratch theaters; answered with the new runs.",
    body=ReplayWish,
    query=Nothing,
    answer=Replay,
    callers=OPERATORS,
    idempotent=False,
    timeout_seconds=300.0,
)
ENDPOINTS = (
    *(GIVE_FEEDBACK, GET_POLICY, LEARN_TICK, PROMOTE_POLICY, ROLL_BACK_POLICY, REPLAY_RUN),
    *(GET_SKILL_REVIEW, REVIEW_SKILLS, PROMOTE_SKILL, ROLL_BACK_SKILL),
)
