"""Playbooks: kept ways of turning a wish into tasks. `choose` picks one when the user named none."""

from collections.abc import Callable

from ironclaw_co.draft_plan import DraftPlan, Wish
from ironclaw_co.playbooks import agent, call_summary, codemod, draft, drill, replay, summarize
from ironclaw_co.playbooks.codemod import CODEMOD
from ironclaw_contracts.commands import AGENT
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.plan import OnOrderFailure

PLAYBOOKS: dict[str, Callable[[Wish], DraftPlan]] = {
    "summarize": summarize.plan,
    "call_summary": call_summary.plan,
    "draft": draft.plan,
    CODEMOD: codemod.plan,
    AGENT: agent.plan,
    DRILL: drill.plan,
    replay.REPLAY: replay.plan,
}


def choose(wish: Wish) -> str | None:
    """Return the playbook whose words and files fit the wish, or None when only a draft would do."""
    if call_summary.is_asked(wish) and call_summary.material(wish):
        return "call_summary"
    if summarize.is_asked(wish) and summarize.documents(wish):
        return "summarize"
    return None


def failure_policy(playbook: str | None) -> OnOrderFailure:
    """Return what becomes of a run when an order fails and the user said nothing.

    The parts of a codemod do not build on each other: the good ones are wanted whatever the others do.
    """
    return "continue" if playbook == CODEMOD else "fail"


def needs_files(playbook: str | None, wish: Wish) -> bool:
    """Tell whether planning has to know the theater's files."""
    if playbook is None:
        return call_summary.is_asked(wish) or summarize.is_asked(wish)
    return playbook not in {"draft", AGENT, DRILL, replay.REPLAY}
