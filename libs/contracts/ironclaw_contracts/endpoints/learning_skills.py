"""Appleseed's review queue over the fleet's own endpoints: what is proposed for skills, and who decides."""

from msgspec import Struct, field

from ironclaw_contracts.artifacts import Line
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service


class SkillProposal(Struct, frozen=True, kw_only=True):
    """One proposal with the gate's judgement, as `latest_operator_review.json` has it.

    `reasons` are the gate's; `blockers` those of them that keep it from being promoted. `diff` is empty
    where nothing is changed by a promotion: a person carries those out. `promoted` tells that the skill
    file has it now.
    """

    proposal_id: str
    proposal_type: str
    title: str
    rationale: str
    readiness: str
    risk_level: str
    evidence_count: int
    confidence: float
    labels: list[str] = field(default_factory=list[str])
    reasons: list[str] = field(default_factory=list[str])
    blockers: list[str] = field(default_factory=list[str])
    operation: str = ""
    diff: str = ""
    promoted: bool = False


class SkillReview(Struct, frozen=True, kw_only=True):
    """The queue as it was last judged; `stage` is absent before the first judgement.

    `config` is the configuration that the `appleseed` commands take on the machine of the service.
    """

    config: str
    stage: str | None
    updated_at: str | None
    next_action: str
    proposals: list[SkillProposal]


class SkillDecision(Struct, frozen=True):
    """Which proposal, and who says so."""

    proposal_id: Line
    by: Line


_GATEWAY = frozenset({Service.API_GATEWAY})

GET_SKILL_REVIEW = Endpoint(
    service=Service.LEARNING,
    name="get_skill_review",
    method="GET",
    path="/skills/review",
    summary="Appleseed's review queue as it was last judged.",
    body=Nothing,
    query=Nothing,
    answer=SkillReview,
    callers=_GATEWAY,
)
REVIEW_SKILLS = Endpoint(
    service=Service.LEARNING,
    name="review_skills",
    method="POST",
    path="/skills/review",
    summary="Have Appleseed propose and judge anew from the evidence as it is now.",
    body=Nothing,
    query=Nothing,
    answer=SkillReview,
    callers=_GATEWAY,
    idempotent=False,
    timeout_seconds=60.0,
)
PROMOTE_SKILL = Endpoint(
    service=Service.LEARNING,
    name="promote_skill",
    method="POST",
    path="/skills/promote",
    summary="Apply a proposal that is ready to its skill file.",
    body=SkillDecision,
    query=Nothing,
    answer=SkillReview,
    callers=_GATEWAY,
    idempotent=False,
    timeout_seconds=60.0,
)
ROLL_BACK_SKILL = Endpoint(
    service=Service.LEARNING,
    name="roll_back_skill",
    method="POST",
    path="/skills/rollback",
    summary="Restore the skill file that a promotion changed.",
    body=SkillDecision,
    query=Nothing,
    answer=SkillReview,
    callers=_GATEWAY,
    idempotent=False,
    timeout_seconds=60.0,
)
