"""What an audit takes for a concern."""

from datetime import timedelta

from msgspec.structs import replace

from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_sentinel.audit import AuditLimits, Tick, backlog_per_minute, concerns, is_loop, unfinished
from tests.unit.ledger.history import START, History

LIMITS = AuditLimits(
    tick_age_seconds_max=45, backlog_per_minute_max=20, recovery_seconds_max=120, reissues_max=8
)


def ticks(backlogs: list[float]) -> list[Tick]:
    return [Tick(START + timedelta(seconds=15 * n), "duty_officer", b) for n, b in enumerate(backlogs)]


def test_given_ticks_on_a_line_when_the_trend_is_fitted_then_it_is_the_slope() -> None:
    slope = backlog_per_minute(ticks([10, 15, 20, 25, 30]))
    assert slope is not None and abs(slope - 20.0) < 1e-9


def test_given_one_burst_at_the_end_when_the_trend_is_fitted_then_two_points_do_not_make_it() -> None:
    two_points = (60 - 10) / (15 / 60)
    slope = backlog_per_minute(ticks([10.0] * 11 + [60.0]))
    assert slope is not None and slope < two_points / 10
    assert backlog_per_minute(ticks([1, 2])) is None
    assert backlog_per_minute([Tick(START, "duty_officer", 1.0)] * 5) is None


def test_given_no_patrol_for_long_when_audited_then_it_is_critical_and_the_same_episode_each_time() -> None:
    record = ticks([1, 1, 1])
    at = record[-1].at
    assert concerns(record, START, [], [], at + timedelta(seconds=44), LIMITS) == []
    first = concerns(record, START, [], [], at + timedelta(seconds=46), LIMITS)
    later = concerns(record, START, [], [], at + timedelta(seconds=300), LIMITS)
    assert [(c.check, c.severity) for c in first] == [("tick_age", Severity.CRITICAL)]
    assert first[0].episode == later[0].episode


def test_given_a_fleet_that_just_started_when_audited_then_the_duty_officer_has_time_to_come_up() -> None:
    assert concerns([], START, [], [], START + timedelta(seconds=30), LIMITS) == []
    assert concerns([], START, [], [], START + timedelta(seconds=60), LIMITS)[0].check == "tick_age"


def test_given_a_backlog_that_grows_when_audited_then_a_person_hears_of_it() -> None:
    record = ticks([10, 30, 50, 70, 90, 110])
    found = concerns(record, START, [], [], record[-1].at, LIMITS)
    assert [c.check for c in found] == ["backlog"]
    falling = ticks([110, 90, 70, 50, 30, 10])
    assert concerns(falling, START, [], [], falling[-1].at, LIMITS) == []


def test_given_recoveries_that_do_not_recover_when_audited_then_the_duty_officer_is_called_ineffective() -> (
    None
):
    record = ticks([1, 1, 1])
    found = concerns(record, START, ["order-1"], ["order-2"], record[-1].at, LIMITS)
    assert [(c.check, c.severity) for c in found] == [
        ("recoveries", Severity.CRITICAL),
        ("reissue_loop", Severity.CRITICAL),
    ]


def test_given_a_recovery_when_the_next_attempt_is_taken_up_then_it_is_finished() -> None:
    made = History()
    made.run()
    order = replace(made.create(), attempt=2)
    late = START + timedelta(seconds=121)
    assert unfinished(order, 1, START, late, 120)
    assert not unfinished(order, 1, START, START + timedelta(seconds=119), 120)
    assert not unfinished(replace(order, phase=OrderPhase.RUNNING), 1, START, late, 120)
    assert not unfinished(replace(order, attempt=3), 1, START, late, 120)
    assert not unfinished(replace(order, phase=OrderPhase.CANCELLED), 1, START, late, 120)
    assert unfinished(replace(order, attempt=1, phase=OrderPhase.RUNNING), 1, START, late, 120)


def test_given_an_order_reissued_again_and_again_when_looked_at_then_it_is_a_loop_until_it_ends() -> None:
    made = History()
    made.run()
    order = replace(made.create(), attempt=10)
    assert is_loop(order, LIMITS)
    assert not is_loop(replace(order, attempt=9), LIMITS)
    assert not is_loop(replace(order, phase=OrderPhase.INTEGRATED), LIMITS)
