"""Interventions judged by what the attempts came to."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_patrol.grades import grade, judge
from tests.unit.ledger.history import START, History


def order_in(phase: OrderPhase, **changes: Any) -> OrderSnapshot:
    made = History()
    made.run()
    return replace(made.create(), phase=phase, **changes)


def event(seq: int, kind: E, **payload: Any) -> Event:
    return Event(
        seq=seq,
        event_id=f"e{seq}",
        ts=START + timedelta(seconds=seq),
        type=kind,
        garrison_id="local",
        theater_id="t",
        run_id="run",
        order_id="order",
        unit_id=None,
        source="duty_officer",
        payload=payload,
        prev_hash="0" * 64,
        hash="0" * 64,
    )


STARTED = event(10, E.RECOVERY_STARTED, rule="lost_unit", attempt=1, since=START.isoformat())


def archived(seq: int, head: str) -> Event:
    return event(seq, E.WORKTREE_ARCHIVED, attempt=1, head=head, sha256=None)


def test_given_an_attempt_of_which_nothing_more_came_when_judged_then_giving_it_up_was_right() -> None:
    judged = judge(STARTED, [archived(11, "a" * 40), archived(20, "a" * 40)], order_in(OrderPhase.INTEGRATED))
    assert (judged.verdict, judged.detected_after_seconds) == ("right", 10.0)


def test_given_an_attempt_that_went_on_working_when_judged_then_giving_it_up_was_wrong() -> None:
    judged = judge(STARTED, [archived(11, "a" * 40), archived(20, "b" * 40)], order_in(OrderPhase.INTEGRATED))
    assert judged.verdict == "wrong"


def test_given_an_attempt_that_was_adopted_later_when_judged_then_giving_it_up_was_wrong() -> None:
    adopted = event(30, E.ORDER_ADOPTED, adopts=1, attempt=3)
    assert judge(STARTED, [adopted], order_in(OrderPhase.INTEGRATED)).verdict == "wrong"


def test_given_finished_work_adopted_at_once_when_judged_then_the_intervention_was_right() -> None:
    adopted = event(30, E.ORDER_ADOPTED, adopts=1, attempt=2)
    assert judge(STARTED, [adopted], order_in(OrderPhase.INTEGRATED)).verdict == "right"


def test_given_an_order_that_goes_on_when_judged_then_the_verdict_is_open() -> None:
    assert judge(STARTED, [archived(11, "a" * 40)], order_in(OrderPhase.RUNNING)).verdict == "open"


def test_given_planted_faults_when_graded_then_recall_counts_those_that_no_rule_met() -> None:
    base = order_in(OrderPhase.INTEGRATED)
    drilled = [
        replace(base, order_id=name, order=replace(base.order, type=DRILL, inputs={"fault": "vanish"}))
        for name in ("order", "missed")
    ]
    graded = {g.rule: g for g in grade([judge(STARTED, [], base)], drilled)}
    lost = graded["lost_unit"]
    assert (lost.planted, lost.missed, lost.recall, lost.precision) == (2, 1, 0.5, 1.0)
    assert lost.detected_after_seconds_max == 10.0
