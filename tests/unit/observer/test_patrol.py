"""The checks of a theater patrol, one by one."""

from datetime import timedelta

import pytest

from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Cause, Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import Lease
from ironclaw_observer.late import lost_attempts
from ironclaw_observer.patrol import (
    CHECKS,
    Sight,
    Standing,
    completed_not_validated,
    needs_look,
    no_recent_commits,
    ready_not_integrated,
    running_without_lease,
    running_without_progress,
    stuck_after,
    worktree_missing,
)
from ironclaw_observer.settings import Settings
from tests.unit.ledger.history import SHA, History

STUCK = 120


def running() -> History:
    made = History()
    made.run()
    made.create()
    made.dispatch()
    made.claim(lease_seconds=10)
    return made


def sight(made: History, standing: Standing | None = None, lease: Lease | None = None) -> Sight:
    order = made.state.orders["order"]
    return Sight(order, lease or made.state.leases.get("order"), standing, made.now, STUCK)


def test_given_a_healthy_unit_that_works_for_long_when_patrolled_then_no_check_asks_for_recovery() -> None:
    made = running()
    made.wait(10_000)
    alive = Lease("order", 1, "unit", made.now + timedelta(seconds=8))
    idle = Standing(
        exists=True, moved_at=made.now - timedelta(hours=2), committed_at=made.now - timedelta(hours=2)
    )
    seen = sight(made, idle, alive)
    assert [fault for check in CHECKS if (fault := check(seen)) is not None and fault.recover] == []
    assert no_recent_commits(seen) is not None


def test_given_a_worktree_that_moves_when_the_lease_is_gone_then_it_is_reported_and_left_alone() -> None:
    made = running()
    made.wait(1_000)
    moving = Standing(exists=True, moved_at=made.now - timedelta(seconds=3), committed_at=None)
    assert running_without_lease(sight(made, moving)) is not None
    assert running_without_progress(sight(made, moving)) is None


def test_given_no_sign_of_life_past_the_threshold_when_patrolled_then_recovery_is_required() -> None:
    made = running()
    made.wait(STUCK + 1)
    still = Standing(exists=True, moved_at=made.now - timedelta(seconds=STUCK + 1), committed_at=None)
    fault = running_without_progress(sight(made, still))
    assert fault is not None and fault.recover


def test_given_a_live_lease_when_deciding_where_to_look_then_git_is_only_asked_after_the_threshold() -> None:
    made = running()
    order, lease = made.state.orders["order"], made.state.leases["order"]
    assert not needs_look(order, lease, made.now, STUCK)
    made.wait(11)
    assert needs_look(order, lease, made.now, STUCK)


def test_given_a_worktree_that_is_gone_when_the_unit_lives_then_it_is_only_reported() -> None:
    made = running()
    gone = Standing(exists=False, moved_at=None, committed_at=None)
    alive = worktree_missing(sight(made, gone))
    assert alive is not None and not alive.recover
    made.wait(11)
    dead = worktree_missing(sight(made, gone))
    assert dead is not None and dead.recover


def test_given_a_completed_order_when_nobody_validates_it_then_the_patrol_says_so() -> None:
    made = running()
    written = p.AarWritten(path="aar.json", sha256="0" * 64, status="completed", summary="")
    made.tell(Service.WORKER, E.AAR_WRITTEN, written, unit_id="unit")
    made.tell(Service.WORKER, E.ORDER_COMPLETED, p.OrderCompleted(commit_sha=SHA), unit_id="unit")
    assert completed_not_validated(sight(made)) is None
    made.wait(STUCK + 1)
    assert completed_not_validated(sight(made)) is not None
    made.tell(Service.OBSERVER, E.INTEGRATION_READY, p.IntegrationReady(commit_sha=SHA))
    assert ready_not_integrated(sight(made)) is None
    made.wait(STUCK + 1)
    assert ready_not_integrated(sight(made)) is not None


def test_given_attempts_that_ended_when_late_work_is_sought_then_only_lost_units_count() -> None:
    made = running()
    failed = p.OrderFailed(attempt=1, cause=Cause.LOST_UNIT, reason="x")
    made.tell(Service.WORKER, E.ORDER_FAILED, failed, unit_id="unit")
    made.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, p.OrderReissued(attempt=2, reason="x"))
    made.dispatch(attempt=2)
    made.claim(attempt=2)
    failed = p.OrderFailed(attempt=2, cause=Cause.TASK, reason="x")
    order = made.tell(Service.WORKER, E.ORDER_FAILED, failed, unit_id="unit")
    assert lost_attempts(order) == {1}


def test_given_thresholds_by_profile_when_read_then_each_profile_has_its_own() -> None:
    by_profile = Settings(stuck_seconds_by_profile="slow=900, quick=30").by_profile
    assert by_profile == {"slow": 900, "quick": 30}
    assert (stuck_after("slow", by_profile, 120), stuck_after("other", by_profile, 120)) == (900, 120)
    with pytest.raises(SettingsError, match="STUCK_SECONDS_BY_PROFILE"):
        _ = Settings(stuck_seconds_by_profile="slow=soon").by_profile
