"""The drill playbook: one order for each fault that a unit can commit, and one that commits none."""

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish, output_folder
from ironclaw_contracts.drills import DRILL, Fault


def plan(wish: Wish) -> DraftPlan:
    """Return a plan with the faults that `inputs.faults` names, or with all. Raises `CannotPlan`."""
    named = wish.inputs.get("faults", [fault.value for fault in Fault])
    known = ", ".join(Fault)
    if not isinstance(named, list) or not all(fault in set(Fault) for fault in named):
        raise CannotPlan(f"inputs.faults has to be a list of: {known}")
    faults: list[str | None] = [None, *named]
    tasks = tuple(
        DraftTask(
            type=DRILL,
            title=f"drill: {fault or 'no fault'}",
            objective="Write one line; the first unit may do harm on purpose.",
            inputs={"fault": fault, "output": f"{output_folder(wish.run_id)}/drill-{number}.md"},
        )
        for number, fault in enumerate(faults)
    )
    everything = tuple(range(len(tasks)))
    return DraftPlan(DRILL, "playbook", tasks, everything, "what each unit wrote in the end")
