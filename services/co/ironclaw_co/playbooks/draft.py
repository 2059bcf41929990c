"""The draft playbook: one order that answers the objective itself."""

from ironclaw_co.draft_plan import DraftPlan, DraftTask, Wish, output_folder

_TITLE_LENGTH_MAX = 80


def plan(wish: Wish) -> DraftPlan:
    """Return a plan of one order; files that the user named go along as its material."""
    words = " ".join(wish.objective.split())
    task = DraftTask(
        type="draft",
        title=words[:_TITLE_LENGTH_MAX] or "draft",
        objective=wish.objective,
        inputs={"output": f"{output_folder(wish.run_id)}/draft.md", **wish.inputs},
    )
    return DraftPlan(
        playbook="draft", planner="playbook", tasks=(task,), final=(0,), how="the draft as written"
    )
