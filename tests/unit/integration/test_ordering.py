"""Who is merged next: the oldest, unless priority says otherwise; nothing starves."""

from datetime import UTC, datetime, timedelta

from ironclaw_contracts.artifacts import Constraints, Order
from ironclaw_contracts.enums import OrderPhase, OrderStatus
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_integration.ordering import APPROVAL_AWAITED, in_order, is_free, next_batch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def order(
    name: str,
    minutes: int = 0,
    priority: int = 0,
    phase: OrderPhase = OrderPhase.READY,
    hold: str | None = None,
) -> OrderSnapshot:
    at = NOON + timedelta(minutes=minutes)
    constraints = Constraints(priority=priority)
    return OrderSnapshot(
        order_id=name,
        run_id="run",
        theater_id="t",
        garrison_id="local",
        title=name,
        order=Order(name, "run", "t", "draft", "x", constraints=constraints),
        depends_on=[],
        replaces=None,
        phase=phase,
        status=OrderStatus.COMPLETED,
        attempt=1,
        unit_id=None,
        worktree=None,
        commit_sha="a" * 40,
        artifacts=[],
        report=None,
        merge_commit=None,
        hold=hold,
        recovery=None,
        history=[],
        created_at=at,
        updated_at=at,
        phase_since=at,
        phase_event_id="e",
        first_seq=minutes,
        last_seq=minutes,
    )


def names(orders: list[OrderSnapshot]) -> list[str]:
    return [one.order_id for one in orders]


def test_given_orders_when_sorted_then_the_oldest_is_first_and_held_ones_are_last() -> None:
    held = order("held", -9, phase=OrderPhase.HELD)
    assert names(in_order([order("new", 5), held, order("old", 1)])) == ["old", "new", "held"]


def test_given_a_turn_of_the_held_when_sorted_then_they_are_first_whatever_else_came_in() -> None:
    held, older = (order(name, at, phase=OrderPhase.HELD) for name, at in (("held", 9), ("older", 3)))
    assert names(in_order([order("new", 5), held, older], held_first=True)) == ["older", "held", "new"]


def test_given_priorities_when_sorted_then_a_point_is_worth_a_minute_of_waiting_and_no_more() -> None:
    urgent, patient = order("urgent", 10, priority=5), order("patient", 4)
    assert names(in_order([urgent, patient])) == ["patient", "urgent"]
    assert names(in_order([urgent, order("younger", 6)])) == ["urgent", "younger"]
    assert names(in_order([order("later", 0, priority=-20), order("other", 19)])) == ["other", "later"]


def test_given_a_queue_when_a_batch_is_taken_then_it_is_bounded_and_held_orders_go_alone() -> None:
    waiting = [order(str(n), n) for n in range(10)]
    assert names(next_batch(waiting, 8, is_free)) == [str(n) for n in range(8)]
    assert names(next_batch(waiting, 1, is_free)) == ["0"]
    held = order("held", phase=OrderPhase.HELD, hold="gate tests could not run")
    assert names(next_batch([held, *waiting], 8, is_free)) == ["held"]
    assert names(next_batch([waiting[0], held, waiting[1]], 8, is_free)) == ["0", "1"]
    asked = order("asked", phase=OrderPhase.HELD, hold=f"{APPROVAL_AWAITED}: ironclaw approvals decide asked")
    assert names(next_batch([asked, waiting[0]], 8, is_free)) == ["asked", "0"]
