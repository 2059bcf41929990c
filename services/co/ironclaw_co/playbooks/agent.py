"""The agent playbook: one order, done by a model with tools on the repository."""

import msgspec

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish
from ironclaw_contracts.commands import AGENT, agent_inputs
from ironclaw_contracts.errors import BadRequest

_TITLE_LENGTH_MAX = 80
_BUDGET_SECONDS = 1_800


def plan(wish: Wish) -> DraftPlan:
    """Return a plan of one agent order. Raises `CannotPlan` for inputs that no agent knows."""
    try:
        inputs = agent_inputs(wish.inputs)
    except BadRequest as error:
        raise CannotPlan(error.message) from error
    task = DraftTask(
        type=AGENT,
        title=" ".join(wish.objective.split())[:_TITLE_LENGTH_MAX] or "agent",
        objective=wish.objective,
        inputs=msgspec.to_builtins(inputs),
        budget_seconds=_BUDGET_SECONDS,
    )
    return DraftPlan(AGENT, "playbook", (task,), (0,), "what the agent did")
