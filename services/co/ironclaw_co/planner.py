"""From a wish to a plan in METE and the orders that carry it out. Pure: ids come in as an iterator."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish
from ironclaw_co.routing import Routed, RoutingTable
from ironclaw_contracts.artifacts import Constraints, Order
from ironclaw_contracts.derived import run_event
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.events import EventType, NewEvent, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import OrderCreated, RunUpdated
from ironclaw_contracts.plan import Budget, Element, Extraction, Plan, Task
from ironclaw_contracts.snapshots import RunSnapshot


class ModelTask(Struct, frozen=True):
    """One link of a task chain as a model writes it; `after` names earlier tasks by their position from 1."""

    title: str
    objective: str
    files: list[str] = msgspec.field(default_factory=list[str])
    after: list[int] = msgspec.field(default_factory=list[int])


class ModelChain(Struct, frozen=True):
    """What a planning model is asked for."""

    tasks: list[ModelTask]


def from_model(text: str, wish: Wish, tasks_max: int) -> DraftPlan:
    """Turn a model's answer into a draft plan. Raises `CannotPlan` naming what is wrong with it."""
    start, end = text.find("{"), text.rfind("}")
    try:
        chain = msgspec.json.decode(text[start : end + 1], type=ModelChain)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise CannotPlan(f"the model's plan is not the JSON asked for: {error}") from error
    if not 1 <= len(chain.tasks) <= tasks_max:
        raise CannotPlan(f"the model planned {len(chain.tasks)} tasks; 1 to {tasks_max} are allowed")
    for position, task in enumerate(chain.tasks, start=1):
        if any(not 1 <= before < position for before in task.after):
            raise CannotPlan(f"task {position} of the model's plan waits for a task that is not before it")
        if unknown := sorted(set(task.files) - set(wish.files)):
            raise CannotPlan(f"task {position} of the model's plan names unknown files: {unknown[:3]}")
        if not task.title.strip() or not task.objective.strip():
            raise CannotPlan(f"task {position} of the model's plan has no title or objective")
    outputs = [f"outputs/{wish.run_id}/{position:02d}.md" for position in range(1, len(chain.tasks) + 1)]
    tasks = tuple(
        DraftTask(
            type="draft",
            title=" ".join(task.title.split())[:200],
            objective=task.objective,
            inputs={"files": [*task.files, *(outputs[b - 1] for b in task.after)], "output": outputs[index]},
            after=tuple(before - 1 for before in task.after),
        )
        for index, task in enumerate(chain.tasks)
    )
    waited_for = {index for task in tasks for index in task.after}
    final = tuple(index for index in range(len(tasks)) if index not in waited_for)
    return DraftPlan(
        playbook="model", planner="model", tasks=tasks, final=final, how="the last tasks of the chain"
    )


def plan_events(
    run: RunSnapshot, draft: DraftPlan, ids: Iterator[str], routes: RoutingTable
) -> list[NewEvent]:
    """Return the events of a plan, to be appended all or none: the plan itself, then each order.

    Raises `CannotPlan` when the plan is larger than the run's budget, or names an unknown profile.
    """
    check_budget(run.budget, run.orders_total + len(draft.tasks))
    order_ids = [next(ids) for _ in draft.tasks]
    chosen = [routed(routes, run, t.type, order_ids[i]) for i, t in enumerate(draft.tasks)]
    elements = Counter(c.profile for c in chosen)
    plan = Plan(
        version=1,
        mission=run.objective,
        elements=[Element(profile=profile, tasks=tasks) for profile, tasks in elements.items()],
        tasks=[
            Task(
                order_id=order_ids[i], type=t.type, title=t.title, depends_on=[order_ids[a] for a in t.after]
            )
            for i, t in enumerate(draft.tasks)
        ],
        extraction=Extraction(order_ids=[order_ids[i] for i in draft.final], how=draft.how),
        playbook=draft.playbook,
        planner=draft.planner,
        notes=list(draft.notes),
    )
    return [
        plan_event(run, plan, routes.version),
        *(
            order_event(
                run, task, order_ids[i], depends_on=[order_ids[a] for a in task.after], routed=chosen[i]
            )
            for i, task in enumerate(draft.tasks)
        ),
    ]


def routed(routes: RoutingTable, run: RunSnapshot, task_type: str, order_id: str) -> Routed:
    """Return the profile of a new order. Raises `CannotPlan` when the run names one that there is not."""
    try:
        return routes.route(run, task_type, order_id)
    except BadRequest as error:
        raise CannotPlan(error.message) from error


def plan_event(run: RunSnapshot, plan: Plan, policy_version: int) -> NewEvent:
    """Return the event that makes a plan the run's own; one version of a plan can only be appended once."""
    update = RunUpdated(plan=plan, policy_version=policy_version)
    return run_event(EventType.RUN_UPDATED, update, run, "plan", plan.version)


def order_event(
    run: RunSnapshot,
    task: DraftTask,
    order_id: str,
    *,
    depends_on: list[str],
    routed: Routed,
    replaces: str | None = None,
) -> NewEvent:
    """Return the event that creates one order of a plan."""
    order = Order(
        order_id=order_id,
        run_id=run.run_id,
        theater_id=run.theater_id,
        type=task.type,
        objective=task.objective,
        inputs=task.inputs,
        constraints=_constraints(run.constraints, task),
        profile=routed.profile,
    )
    return new_event(
        EventType.ORDER_CREATED,
        OrderCreated(
            order=order,
            title=task.title,
            depends_on=depends_on,
            replaces=replaces,
            routing=routed.routing,
        ),
        run_id=run.run_id,
        order_id=order_id,
        theater_id=run.theater_id,
        garrison_id=run.garrison_id,
        event_id=derived_event_id(order_id, EventType.ORDER_CREATED),
    )


def _constraints(given: Constraints, task: DraftTask) -> Constraints:
    """Return the run's constraints, with the playbook's time where the run asked for none of its own."""
    if given.budget_seconds != Constraints().budget_seconds:
        return given
    return msgspec.structs.replace(given, budget_seconds=task.budget_seconds)


def check_budget(budget: Budget, orders: int) -> None:
    """Raise `CannotPlan` when a run would have more orders than its budget allows."""
    if orders > budget.max_orders:
        raise CannotPlan(
            f"the plan needs {orders} orders, the run's budget allows {budget.max_orders}:"
            " raise budget.max_orders"
        )


def wish_of(run: RunSnapshot, files: tuple[str, ...]) -> Wish:
    """Return what a run asks for, with the files of its theater."""
    inputs: dict[str, Any] = run.inputs
    return Wish(run_id=run.run_id, objective=run.objective, inputs=inputs, files=files)
