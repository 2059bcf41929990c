"""Feedback of people, and the routing policy as operators see it."""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co, learning
from ironclaw_contracts.endpoints import learning_skills as skills


def add_learning_routes(routes: Routes, client: ServiceClient) -> None:
    """Register feedback for everybody, the policy for operators."""

    @routes.serve(api.GIVE_FEEDBACK)
    async def give_feedback(call: Call[api.Opinion, Nothing]) -> learning.FeedbackAnswer:
        request = learning.FeedbackRequest(call.body.verdict, call.caller.name, call.body.comment)
        return await client.call(learning.RECORD_FEEDBACK, request, run_id=call.path["run_id"])

    @routes.serve(api.GET_POLICY)
    async def get_policy(call: Call[Nothing, learning.PolicyQuery]) -> learning.PolicyView:
        return await client.call(learning.GET_POLICY, query=call.query)

    @routes.serve(api.LEARN_TICK)
    async def learn_tick(_: Call[Nothing, Nothing]) -> learning.Tick:
        return await client.call(learning.LEARN_TICK)

    @routes.serve(api.REPLAY_RUN)
    async def replay_run(call: Call[api.ReplayWish, Nothing]) -> co.Replay:
        wish = co.ReplayRequest(
            profile=call.body.profile, user_id=call.caller.name, replay_id=call.body.replay_id
        )
        return await client.call(co.REPLAY_RUN, wish, run_id=call.path["run_id"])

    @routes.serve(api.PROMOTE_POLICY)
    async def promote_policy(call: Call[api.PromotionRequest, Nothing]) -> learning.PolicyView:
        promotion = learning.Promotion(call.body.version, call.caller.name)
        return await client.call(learning.PROMOTE_POLICY, promotion)

    @routes.serve(api.ROLL_BACK_POLICY)
    async def roll_back_policy(call: Call[api.RollbackRequest, Nothing]) -> learning.PolicyView:
        rollback = learning.Rollback(call.caller.name, call.body.reason)
        return await client.call(learning.ROLL_BACK_POLICY, rollback)

    @routes.serve(api.GET_SKILL_REVIEW)
    async def get_skill_review(_: Call[Nothing, Nothing]) -> skills.SkillReview:
        return await client.call(skills.GET_SKILL_REVIEW)

    @routes.serve(api.REVIEW_SKILLS)
    async def review_skills(_: Call[Nothing, Nothing]) -> skills.SkillReview:
        return await client.call(skills.REVIEW_SKILLS)

    @routes.serve(api.PROMOTE_SKILL)
    async def promote_skill(call: Call[api.SkillWish, Nothing]) -> skills.SkillReview:
        decision = skills.SkillDecision(call.body.proposal_id, call.caller.name)
        return await client.call(skills.PROMOTE_SKILL, decision)

    @routes.serve(api.ROLL_BACK_SKILL)
    async def roll_back_skill(call: Call[api.SkillWish, Nothing]) -> skills.SkillReview:
        decision = skills.SkillDecision(call.body.proposal_id, call.caller.name)
        return await client.call(skills.ROLL_BACK_SKILL, decision)
