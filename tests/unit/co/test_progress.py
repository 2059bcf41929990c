"""What a run does when one of its orders has failed for good."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from ironclaw_co.progress import Action, Cancel, Dispatch, Fail, Finish, Replan, next_actions
from ironclaw_co.replan import replan_events
from ironclaw_co.routing import RoutingTable
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.plan import Extraction, OnOrderFailure, Plan, Task
from ironclaw_contracts.snapshots import AttemptEnd, OrderSnapshot, RunView
from tests.unit.ledger.history import START, History


def view(policy: OnOrderFailure, phases: dict[str, OrderPhase], depends: dict[str, list[str]]) -> RunView:
    made = History()
    run = made.run()
    orders: list[OrderSnapshot] = []
    for name, phase in phases.items():
        order = made.create(name, depends_on=depends.get(name, []))
        ended = phase in {OrderPhase.FAILED, OrderPhase.BLOCKED}
        end = AttemptEnd(1, "ORDER_FAILED", "it broke", Cause.TASK, "e", START)
        merge = "b" * 40 if phase is OrderPhase.INTEGRATED else None
        orders.append(replace(order, phase=phase, merge_commit=merge, history=[end] if ended else []))
    terminal = {OrderPhase.FAILED, OrderPhase.INTEGRATED, OrderPhase.CANCELLED}
    plan = Plan(
        version=1,
        mission="x",
        elements=[],
        tasks=[Task(order_id=o, type="draft", title=o, depends_on=depends.get(o, [])) for o in phases],
        extraction=Extraction(list(phases), "all"),
        playbook="draft",
        planner="playbook",
    )
    return RunView(
        replace(
            run,
            plan=plan,
            on_order_failure=policy,
            orders_total=len(orders),
            orders_open=sum(o.phase not in terminal for o in orders),
            orders_integrated=sum(o.phase is OrderPhase.INTEGRATED for o in orders),
        ),
        orders,
    )


def act(seen: RunView) -> list[Action]:
    return next_actions(seen, START + timedelta(seconds=1), 8)


def of(actions: list[Action], kind: type[Action]) -> set[str]:
    return {action.order.order_id for action in actions if isinstance(action, kind)}  # type: ignore[union-attr]


BROKEN = {"a": OrderPhase.FAILED, "b": OrderPhase.PLANNED, "c": OrderPhase.PLANNED, "d": OrderPhase.RUNNING}
CHAIN = {"b": ["a"]}
TABLE = RoutingTable(default=Profile())


def test_given_fail_when_an_order_fails_then_nothing_more_begins_and_what_runs_may_finish() -> None:
    actions = act(view("fail", BROKEN, CHAIN))
    assert of(actions, Cancel) == {"b", "c"}
    assert not any(isinstance(action, Dispatch) for action in actions)


def test_given_continue_when_an_order_fails_then_only_what_depends_on_it_is_cancelled() -> None:
    actions = act(view("continue", BROKEN, CHAIN))
    assert of(actions, Cancel) == {"b"}
    assert of(actions, Dispatch) == {"c"}


def test_given_replan_when_an_order_fails_then_it_and_what_waits_for_it_are_replaced() -> None:
    seen = view("replan", BROKEN, CHAIN)
    actions = act(seen)
    assert of(actions, Replan) == {"a"} and len(actions) == 1
    events = replan_events(seen, seen.orders[0], iter(["new-a", "new-b"]), TABLE)
    created = [e for e in events if e.type is E.ORDER_CREATED]
    assert [(e.order_id, e.payload["replaces"]) for e in created] == [("new-a", "a"), ("new-b", "b")]
    assert created[1].payload["depends_on"] == ["new-a"]
    assert "it broke" in created[0].payload["order"]["objective"]
    assert [e.order_id for e in events if e.type is E.ORDER_CANCELLED] == ["b"]


def test_given_replan_when_the_budget_has_no_room_then_the_run_fails_as_it_would_otherwise() -> None:
    seen = view("replan", BROKEN, CHAIN)
    spent = RunView(replace(seen.run, plan=replace(seen.run.plan, version=3)), seen.orders)
    full = RunView(replace(seen.run, budget=replace(seen.run.budget, max_orders=5)), seen.orders)
    for exhausted in (spent, full):
        actions = act(exhausted)
        assert of(actions, Replan) == set()
        assert of(actions, Cancel) == {"b", "c"}


@pytest.mark.parametrize(("policy", "outcome"), [("fail", Fail), ("continue", Finish), ("replan", Replan)])
def test_given_all_orders_ended_and_one_failed_when_the_run_ends_then_the_policy_says_how(
    policy: OnOrderFailure, outcome: type[Action]
) -> None:
    actions = act(view(policy, {"a": OrderPhase.FAILED, "b": OrderPhase.INTEGRATED}, {}))
    assert [type(action) for action in actions] == [outcome]


def test_given_continue_when_nothing_was_merged_then_the_run_fails_all_the_same() -> None:
    actions = act(view("continue", {"a": OrderPhase.FAILED}, {}))
    assert [type(action) for action in actions] == [Fail]


@pytest.mark.parametrize("policy", ["fail", "continue", "replan"])
@pytest.mark.parametrize("first", [OrderPhase.FAILED, OrderPhase.CANCELLED, OrderPhase.BLOCKED])
@pytest.mark.parametrize("second", [OrderPhase.PLANNED, OrderPhase.FAILED, OrderPhase.INTEGRATED])
def test_given_a_run_in_which_nothing_is_in_motion_when_looked_at_then_co_always_has_something_to_do(
    policy: OnOrderFailure, first: OrderPhase, second: OrderPhase
) -> None:
    seen = view(policy, {"a": first, "b": second}, {"b": ["a"]} if second is OrderPhase.PLANNED else {})
    assert seen.run.status is RunStatus.OPEN
    assert act(seen) != []
