"""Policy: which profile does which orders, what is proposed for routing and for skills, who decides."""

import asyncio

import msgspec

from ironclaw_api_gateway.console.absent import if_there
from ironclaw_api_gateway.console.markup import diff_lines
from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Fragment, Pages, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import learning, learning_skills
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.instants import parse_instant

_PERIOD_SECONDS = 10.0


def add_policy(pages: Pages, client: ServiceClient) -> None:
    """Register the page, what operators do with proposals, and what anybody thinks of a result."""

    async def gather(_: Asked) -> Context:
        view, skills = await asyncio.gather(
            client.call(learning.GET_POLICY, query=learning.PolicyQuery()),
            if_there(client.call(learning_skills.GET_SKILL_REVIEW)),
        )
        shown = view.in_force or view.drafted
        diffs = {p.proposal_id: diff_lines(p.diff) for p in skills.proposals} if skills is not None else {}
        return {
            "policy": view,
            "shown": shown,
            "parameters": view.parameters,
            "proposal": view.proposal,
            "skills": skills,
            "diffs": diffs,
            "instant": parse_instant,
        }

    async def tick(_: Asked, __: Form) -> Fragment:
        return Fragment("policy/ticked.html", {"done": await client.call(learning.LEARN_TICK)})

    async def promote(asked: Asked, form: Form) -> Fragment:
        version = form.get("version", "")
        if not version.isdecimal() or len(version) > 9:
            raise BadRequest(f"version is {version[:40]!r}: give the proposal's number")
        promotion = learning.Promotion(int(version), asked.visitor.key.name)
        view = await client.call(learning.PROMOTE_POLICY, promotion)
        return Fragment("policy/decided.html", {"policy": view, "what": "promoted"})

    async def roll_back(asked: Asked, form: Form) -> Fragment:
        reason = form.get("reason", "").strip() or "rolled back by an operator"
        view = await client.call(
            learning.ROLL_BACK_POLICY, learning.Rollback(asked.visitor.key.name, reason[:2_000])
        )
        return Fragment("policy/decided.html", {"policy": view, "what": "rolled back"})

    async def judge(_: Asked, __: Form) -> Fragment:
        found = await client.call(learning_skills.REVIEW_SKILLS)
        return Fragment("policy/judged.html", {"skills": found})

    async def change_skill(asked: Asked, form: Form) -> Fragment:
        changes = {"promote": learning_skills.PROMOTE_SKILL, "rollback": learning_skills.ROLL_BACK_SKILL}
        change = changes.get(form.get("change", ""))
        if change is None:
            raise BadRequest("change: promote or rollback")
        given = {"proposal_id": form.get("proposal_id", ""), "by": asked.visitor.key.name}
        try:
            decision = msgspec.convert(given, learning_skills.SkillDecision)
        except msgspec.ValidationError as error:
            raise BadRequest(f"the decision cannot be taken: {error}") from error
        await client.call(change, decision)
        return Fragment("policy/changed.html", {"change": form["change"], "decision": decision})

    async def feedback(asked: Asked, form: Form) -> Fragment:
        given = {
            "verdict": form.get("verdict", ""),
            "by": asked.visitor.key.name,
            "comment": form.get("comment", "").strip(),
        }
        try:
            request = msgspec.convert(given, learning.FeedbackRequest)
        except msgspec.ValidationError as error:
            raise BadRequest(f"the feedback cannot be recorded: {error}") from error
        answer = await client.call(learning.RECORD_FEEDBACK, request, run_id=asked.path["run_id"])
        return Fragment("chat/thanks.html", {"answer": answer, "verdict": request.verdict})

    pages.views.append(
        View(
            path="/console/policy",
            name="policy",
            gather=gather,
            parts=("head", "proposal", "tasks", "skills", "history"),
            operators=True,
            period_seconds=_PERIOD_SECONDS,
        )
    )
    pages.actions += [
        Action(path="/console/policy/tick", act=tick, operators=True),
        Action(path="/console/policy/promote", act=promote, operators=True),
        Action(path="/console/policy/rollback", act=roll_back, operators=True),
        Action(path="/console/policy/skills/judge", act=judge, operators=True),
        Action(path="/console/policy/skills/change", act=change_skill, operators=True),
        Action(path="/console/runs/{run_id:str}/feedback", act=feedback),
    ]
