"""HTTP in, HTTP out."""

from appleseed_evolution.http.surface import add_appleseed_routes
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import learning as api
from ironclaw_contracts.endpoints import learning_skills as skills
from ironclaw_contracts.enums import Service
from ironclaw_learning.parts import Parts


def build_routes(parts: Parts) -> Routes:
    """Return learning's routes."""
    routes = Routes(Service.LEARNING)

    @routes.serve(api.LEARN_TICK)
    async def learn_tick(_: Call[Nothing, Nothing]) -> api.Tick:
        return await parts.tick()

    @routes.serve(api.GET_POLICY)
    async def get_policy(call: Call[Nothing, api.PolicyQuery]) -> api.PolicyView:
        return await parts.learner.view(call.query)

    @routes.serve(api.PROMOTE_POLICY)
    async def promote_policy(call: Call[api.Promotion, Nothing]) -> api.PolicyView:
        return await parts.learner.promote(call.body)

    @routes.serve(api.ROLL_BACK_POLICY)
    async def roll_back_policy(call: Call[api.Rollback, Nothing]) -> api.PolicyView:
        return await parts.learner.roll_back(call.body)

    @routes.serve(api.RECORD_FEEDBACK)
    async def record_feedback(call: Call[api.FeedbackRequest, Nothing]) -> api.FeedbackAnswer:
        return await parts.feedback.person(call.path["run_id"], call.body)

    @routes.serve(skills.GET_SKILL_REVIEW)
    async def get_skill_review(_: Call[Nothing, Nothing]) -> skills.SkillReview:
        return await parts.skills.queue()

    @routes.serve(skills.REVIEW_SKILLS)
    async def review_skills(_: Call[Nothing, Nothing]) -> skills.SkillReview:
        return await parts.skills.judge()

    @routes.serve(skills.PROMOTE_SKILL)
    async def promote_skill(call: Call[skills.SkillDecision, Nothing]) -> skills.SkillReview:
        return await parts.skills.promote(call.body)

    @routes.serve(skills.ROLL_BACK_SKILL)
    async def roll_back_skill(call: Call[skills.SkillDecision, Nothing]) -> skills.SkillReview:
        return await parts.skills.roll_back(call.body)

    add_appleseed_routes(routes, parts.appleseed)
    return routes
