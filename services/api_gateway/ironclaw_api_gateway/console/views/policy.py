"""Policy: which profile does which kind of order on what figures, what is proposed, and who decides."""

import msgspec

from ironclaw_api_gateway.console.pages import Action, Asked, Context, Form, Fragment, Pages, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import learning
from ironclaw_contracts.errors import BadRequest

_PERIOD_SECONDS = 10.0


def add_policy(pages: Pages, client: ServiceClient) -> None:
    """Register the page, what operators do with proposals, and what anybody thinks of a result."""

    async def gather(_: Asked) -> Context:
        view = await client.call(learning.GET_POLICY, query=learning.PolicyQuery())
        shown = view.in_force or view.drafted
        return {"policy": view, "shown": shown, "parameters": view.parameters, "proposal": view.proposal}

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
            parts=("head", "proposal", "tasks", "history"),
            operators=True,
            period_seconds=_PERIOD_SECONDS,
        )
    )
    pages.actions += [
        Action(path="/console/policy/tick", act=tick, operators=True),
        Action(path="/console/policy/promote", act=promote, operators=True),
        Action(path="/console/policy/rollback", act=roll_back, operators=True),
        Action(path="/console/runs/{run_id:str}/feedback", act=feedback),
    ]
