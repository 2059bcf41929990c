"""The replay playbook: tasks as another run had them, side by side, each from where that one began."""

import msgspec

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish
from ironclaw_contracts.artifacts import Line, Text
from ironclaw_contracts.ids import Id

REPLAY = "replay"


class _Task(msgspec.Struct, frozen=True):
    type: Id
    title: Line
    objective: Text
    inputs: dict[str, object]


class _Inputs(msgspec.Struct, frozen=True):
    tasks: list[_Task]


def inputs_of(tasks: list[DraftTask]) -> dict[str, object]:
    """Return the inputs of a run that does these tasks."""
    return {
        "tasks": [
            {"type": t.type, "title": t.title, "objective": t.objective, "inputs": t.inputs} for t in tasks
        ]
    }


def plan(wish: Wish) -> DraftPlan:
    """Return the tasks that `inputs.tasks` names. Raises `CannotPlan`."""
    try:
        given = msgspec.convert(wish.inputs, _Inputs).tasks
    except msgspec.ValidationError as error:
        raise CannotPlan(
            f"inputs of a replay: {error}; start one with: ironclaw replay RUN --profile NAME"
        ) from error
    if not given:
        raise CannotPlan("inputs.tasks is empty: nothing to replay")
    tasks = tuple(DraftTask(t.type, t.title, t.objective, t.inputs) for t in given)
    return DraftPlan(REPLAY, "playbook", tasks, tuple(range(len(tasks))), "what each unit made this time")
