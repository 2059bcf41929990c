"""What the patrol decides about one order."""

from datetime import timedelta

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Cause, Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import Lease, OrderSnapshot
from ironclaw_patrol.rules import (
    Enqueue,
    GiveUp,
    Held,
    Reissue,
    Suspect,
    Thresholds,
    by_operator,
    decide,
    is_silent,
    losses,
)
from ironclaw_patrol.suspicion import Suspicion
from tests.unit.ledger.history import START, History

LIMITS = Thresholds(unclaimed_seconds=5, lease_seconds=10, suspect_seconds=2.5)


def history(*, claimed: bool = True) -> History:
    made = History()
    made.run()
    made.create()
    made.dispatch()
    if claimed:
        made.claim(lease_seconds=10)
    return made


def order_of(made: History) -> OrderSnapshot:
    return made.state.orders["order"]


def lease_of(made: History) -> Lease | None:
    return made.state.leases.get("order")


def fail(made: History, cause: Cause, attempt: int = 1, reason: str = "x") -> OrderSnapshot:
    failed = p.OrderFailed(attempt=attempt, cause=cause, reason=reason)
    return made.tell(Service.WORKER, E.ORDER_FAILED, failed, unit_id="unit")


def again(made: History, attempt: int, cause: Cause = Cause.TASK) -> None:
    reissued = p.OrderReissued(attempt=attempt, reason="x", cause=cause)
    made.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, reissued)
    made.dispatch(attempt=attempt)
    made.claim(attempt=attempt, lease_seconds=10)


def test_given_a_unit_that_renews_its_lease_when_it_works_for_an_hour_then_nobody_disturbs_it() -> None:
    made = history()
    order, lease = order_of(made), lease_of(made)
    assert lease is not None
    for minute in range(60):
        now = made.now + timedelta(minutes=minute)
        renewed = Lease("order", 1, "unit", now + timedelta(seconds=7))
        assert decide(order, renewed, now, LIMITS) is None


def suspect_of(made: History, lease: Lease | None = None) -> Suspect | None:
    decision = decide(order_of(made), lease or lease_of(made), made.now, LIMITS)
    assert decision is None or isinstance(decision, Suspect)
    return decision


def test_given_a_lease_that_ran_out_when_looked_at_then_the_unit_is_only_suspected() -> None:
    made = history()
    made.wait(10.5)
    suspect = suspect_of(made)
    assert suspect is not None and suspect.reissue.cause is Cause.LOST_UNIT
    assert suspect.silent_since == made.now - timedelta(seconds=0.5)


def test_given_a_silence_when_noticed_again_then_it_ages_until_the_unit_renews() -> None:
    suspicion = Suspicion()
    mark = (1, START)
    assert [suspicion.age("order", mark, now) for now in (100.0, 101.0, 103.5)] == [0.0, 1.0, 3.5]
    renewed = (1, START + timedelta(seconds=1))
    assert suspicion.age("order", renewed, 104.0) == 0.0
    suspicion.clear("order")
    assert suspicion.age("order", renewed, 110.0) == 0.0


def test_given_a_clock_that_jumps_ahead_when_the_unit_renews_then_it_was_never_long_suspected() -> None:
    made, suspicion = history(), Suspicion()
    made.wait(3_600)
    first = suspect_of(made)
    assert first is not None
    assert suspicion.age("order", (1, first.silent_since), 50.0) < LIMITS.suspect_seconds
    renewed = Lease("order", 1, "unit", made.now + timedelta(seconds=10), lease_seconds=10)
    assert suspect_of(made, renewed) is None


def test_given_a_clock_that_jumps_back_when_the_unit_is_dead_then_its_lease_is_not_believed_for_an_hour() -> (
    None
):
    made = history()
    made.wait(-3_600)
    assert suspect_of(made) is not None
    made.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, p.OrderReissued(attempt=2, reason="x"))
    assert order_of(made).attempt == 2


def test_given_a_suspect_whose_worktree_moves_when_judged_then_it_lives() -> None:
    made = history()
    made.wait(20)
    suspect = suspect_of(made)
    assert suspect is not None
    moved = made.now - timedelta(seconds=1)
    assert not is_silent(suspect, moved, made.now, LIMITS, lease_of(made))
    assert is_silent(suspect, moved - timedelta(seconds=2), made.now, LIMITS, lease_of(made))


def test_given_a_worktree_that_moves_past_the_budget_when_judged_then_it_does_not_speak_for_the_unit() -> (
    None
):
    made = history()
    made.wait(60 + 2 * 10 + 1)
    suspect = suspect_of(made)
    assert suspect is not None
    assert is_silent(suspect, made.now, made.now, LIMITS, lease_of(made))


def test_given_a_unit_that_told_of_progress_when_its_lease_lapses_then_that_counts_as_a_sign() -> None:
    made = history()
    made.wait(20)
    suspect = suspect_of(made)
    assert suspect is not None
    lease = Lease("order", 1, "unit", made.now - timedelta(seconds=9), made.now - timedelta(seconds=1))
    assert not is_silent(suspect, None, made.now, LIMITS, lease)


def test_given_a_job_nobody_claims_when_time_passes_then_it_is_queued_again_under_a_new_id() -> None:
    made = history(claimed=False)
    assert decide(order_of(made), None, made.now, LIMITS) is None
    made.wait(11)
    decision = decide(order_of(made), None, made.now, LIMITS)
    assert isinstance(decision, Enqueue) and decision.round == 2


def test_given_task_failures_when_the_retries_are_spent_then_it_fails_with_every_reason() -> None:
    made = history()
    fail(made, Cause.TASK, reason="first")
    assert isinstance(decide(order_of(made), None, made.now, LIMITS), Reissue)
    again(made, 2)
    fail(made, Cause.TASK, attempt=2, reason="second")
    decision = decide(order_of(made), None, made.now, LIMITS)
    assert isinstance(decision, GiveUp)
    assert "first" in decision.reason and "second" in decision.reason


@pytest.mark.parametrize("cause", [Cause.PROVIDER_DOWN, Cause.QUOTA, Cause.AUTH, Cause.DISK, Cause.POLICY])
def test_given_a_cause_that_is_not_the_tasks_when_it_strikes_twenty_times_then_no_retry_is_used_up(
    cause: Cause,
) -> None:
    made = history()
    for attempt in range(1, 21):
        fail(made, cause, attempt)
        decision = decide(order_of(made), None, made.now, LIMITS)
        assert isinstance(decision, Held) and decision.cause is cause
        again(made, attempt + 1, cause)


def test_given_an_order_that_costs_unit_after_unit_when_reissued_then_the_pauses_grow_and_it_never_fails() -> (
    None
):
    made = history()
    pauses: list[float] = []
    for attempt in range(1, 9):
        fail(made, Cause.LOST_UNIT, attempt)
        waited = 0.0
        while not isinstance(decide(order_of(made), None, made.now, LIMITS), Reissue):
            made.wait(0.5)
            waited += 0.5
        pauses.append(waited)
        again(made, attempt + 1, Cause.LOST_UNIT)
    assert pauses[:2] == [0.0, 0.0]
    assert pauses == sorted(pauses) and pauses[-1] >= 32
    assert losses(order_of(made)) == 8


def test_given_an_order_that_works_when_an_operator_recovers_it_then_there_is_a_reissue_to_refuse() -> None:
    made = history(claimed=False)
    assert by_operator(order_of(made), made.now) is None
    made.claim()
    assert by_operator(order_of(made), made.now) is not None  # the ledger refuses it while the lease lives
    fail(made, Cause.PROVIDER_DOWN)
    decision = by_operator(order_of(made), made.now)
    assert decision is not None and decision.cause is Cause.PROVIDER_DOWN
