"""What the transition table cannot say, decided without a database."""

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import (
    Authority,
    BadRequest,
    Conflict,
    IllegalTransition,
    LeaseLive,
    NotReady,
    StaleAttempt,
)
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from tests.unit.ledger.history import MERGE, SHA, History

REISSUE = p.OrderReissued(attempt=2, reason="the lease ran out")
GIVE_UP = p.OrderFailed(reason="retries spent", final=True)


@pytest.fixture
def history() -> History:
    return History()


@pytest.mark.parametrize(
    ("kind", "payload"), [(E.ORDER_REISSUED, REISSUE), (E.ORDER_FAILED, GIVE_UP)], ids=["reissue", "give-up"]
)
def test_given_a_late_but_valid_result_when_the_watchdog_acts_on_an_old_read_then_the_result_is_kept(
    history: History, kind: E, payload: p.Payload
) -> None:
    history.run()
    history.create()
    history.dispatch()
    history.claim(lease_seconds=1)
    history.wait(60)
    history.report()
    with pytest.raises(IllegalTransition, match="not found invalid"):
        history.tell(Service.DUTY_OFFICER, kind, payload)
    assert history.state.orders["order"].commit_sha == SHA


@pytest.mark.parametrize(
    ("kind", "payload", "phase"),
    [(E.ORDER_REISSUED, REISSUE, OrderPhase.PLANNED), (E.ORDER_FAILED, GIVE_UP, OrderPhase.FAILED)],
)
def test_given_a_result_found_invalid_when_the_watchdog_acts_then_it_may(
    history: History, kind: E, payload: p.Payload, phase: OrderPhase
) -> None:
    history.completed()
    history.tell(Service.OBSERVER, E.RECOVERY_REQUIRED, p.RecoveryRequired(reason="no artifact"))
    assert history.tell(Service.DUTY_OFFICER, kind, payload).phase is phase


@pytest.mark.parametrize("seconds", [14, 15])
def test_given_a_lease_of_15_s_when_reissued_then_only_from_its_end_on(
    history: History, seconds: int
) -> None:
    history.run()
    history.create()
    history.dispatch()
    history.claim(lease_seconds=15)
    history.wait(seconds)
    if seconds < 15:
        with pytest.raises(LeaseLive, match="unit unit holds order order until"):
            history.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)
    else:
        assert history.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE).attempt == 2


@pytest.mark.parametrize("verdict", ["failed", "could_not_run"])
def test_given_a_gate_that_did_not_pass_when_passed_is_claimed_then_refused(
    history: History, verdict: str
) -> None:
    history.completed()
    gates = [p.GateResult(gate="aar", verdict="passed"), p.GateResult(gate="tests", verdict=verdict)]
    with pytest.raises(BadRequest, match=f"gate tests has the verdict {verdict}"):
        history.gate(gates=gates)
    assert history.state.orders["order"].phase is OrderPhase.INTEGRATING


def test_given_a_report_of_failure_when_completed_is_claimed_then_refused(history: History) -> None:
    history.run()
    history.create()
    history.dispatch()
    history.claim()
    with pytest.raises(IllegalTransition, match="AAR says 'failed'"):
        history.report(status="failed")


def test_given_another_commit_than_the_gated_one_when_integrated_then_refused(history: History) -> None:
    history.completed()
    history.gate()
    with pytest.raises(Conflict, match=MERGE):
        history.tell(Service.INTEGRATION, E.INTEGRATED, p.Integrated(commit_sha=SHA, mainline="main"))


@pytest.mark.parametrize(
    ("source", "kind", "payload"),
    [
        (Service.VAULT, E.WORKTREE_ARCHIVED, p.WorktreeArchived(attempt=2)),
        (Service.VAULT, E.WORKTREE_REMOVED, p.WorktreeRemoved(attempt=2, path="/w")),
        (Service.DUTY_OFFICER, E.RECOVERY_STARTED, p.RecoveryStarted(attempt=2, reason="x")),
    ],
)
def test_given_an_attempt_that_was_never_made_when_told_of_then_refused(
    history: History, source: Service, kind: E, payload: p.Payload
) -> None:
    history.completed()
    with pytest.raises(Conflict, match="only at 1"):
        history.tell(source, kind, payload)


@pytest.mark.parametrize("attempt", [1, 3])
def test_given_a_reissue_when_it_skips_or_repeats_an_attempt_then_stale(
    history: History, attempt: int
) -> None:
    history.completed()
    history.tell(Service.OBSERVER, E.RECOVERY_REQUIRED, p.RecoveryRequired(reason="x"))
    with pytest.raises(StaleAttempt, match="order order is at 1"):
        history.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, p.OrderReissued(attempt=attempt, reason="x"))


def test_given_a_budget_of_two_orders_when_a_third_is_created_then_refused(history: History) -> None:
    history.run(max_orders=2)
    history.create("a")
    history.create("b")
    with pytest.raises(Conflict, match=r"budget\.max_orders"):
        history.create("c")
    assert history.state.runs["run"].orders_total == 2


@pytest.mark.parametrize("field", ["depends_on", "replaces"])
@pytest.mark.parametrize("named", ["nowhere", "foreign", "new"])
def test_given_an_order_that_names_one_outside_its_run_when_created_then_the_field_is_named(
    history: History, field: str, named: str
) -> None:
    history.run()
    history.run("other")
    history.create("foreign", "other")
    with pytest.raises(BadRequest, match=f"{field} names '{named}'"):
        history.create("new", **{field: [named] if field == "depends_on" else named})


def test_given_another_theater_than_the_runs_when_told_then_400_and_when_absent_it_is_filled_in(
    history: History,
) -> None:
    history.run()
    with pytest.raises(BadRequest, match="of theater t, not of elsewhere"):
        history.create(theater_id="elsewhere")
    note = p.RunUpdated(note="x")
    with pytest.raises(BadRequest, match="of theater t, not of elsewhere"):
        history.send(Service.CO, new_event(E.RUN_UPDATED, note, run_id="run", theater_id="elsewhere"))
    history.send(Service.CO, new_event(E.RUN_UPDATED, note, run_id="run"))
    history.create()
    history.tell(Service.CO, E.ORDER_CANCELLED, p.OrderCancelled(reason="x"))
    assert {(row.event.run_id, row.event.theater_id) for row in history.state.rows} == {("run", "t")}


@pytest.mark.parametrize(
    ("contains", "base", "missing"),
    [([], SHA, MERGE), ([MERGE], "c" * 40, "base commit"), ([MERGE], SHA, None)],
)
def test_given_a_merged_dependency_when_enqueued_then_only_on_a_base_that_is_proven_to_contain_it(
    history: History, contains: list[str], base: str, missing: str | None
) -> None:
    history.completed()
    history.gate()
    history.tell(Service.INTEGRATION, E.INTEGRATED, p.Integrated(commit_sha=MERGE, mainline="main"))
    history.create("next", depends_on=["order"])
    created = p.WorktreeCreated(path="/w", branch="b", base_commit=SHA, contains=contains)
    history.tell(Service.VAULT, E.WORKTREE_CREATED, created, "next")
    with pytest.raises(NotReady, match="no worktree ready"):
        history.tell(Service.CO, E.ORDER_ENQUEUED, p.OrderEnqueued(base_commit=SHA), "next")
    history.tell(Service.VAULT, E.WORKTREE_READY, p.WorktreeReady(path="/w"), "next")
    if missing is None:
        order = history.tell(Service.CO, E.ORDER_ENQUEUED, p.OrderEnqueued(base_commit=base), "next")
        assert order.phase is OrderPhase.ENQUEUED
    else:
        with pytest.raises(NotReady, match=missing):
            history.tell(Service.CO, E.ORDER_ENQUEUED, p.OrderEnqueued(base_commit=base), "next")


def test_given_a_step_that_the_table_lacks_when_told_then_the_current_phase_is_named(
    history: History,
) -> None:
    history.completed()
    with pytest.raises(IllegalTransition, match="ORDER_STARTED on order order, which is COMPLETED"):
        history.tell(Service.WORKER, E.ORDER_STARTED, p.OrderStarted(), unit_id="unit")


def test_given_an_event_that_is_anothers_to_append_when_sent_then_authority_before_anything_else(
    history: History,
) -> None:
    with pytest.raises(Authority, match="vault may not append ORDER_ENQUEUED"):
        history.tell(Service.VAULT, E.ORDER_ENQUEUED, p.OrderEnqueued(base_commit=SHA), "nowhere")


def test_given_a_run_without_a_plan_when_completed_then_refused(history: History) -> None:
    history.run()
    with pytest.raises(IllegalTransition, match="has no plan"):
        history.send(Service.CO, new_event(E.RUN_COMPLETED, p.RunCompleted(reply="x"), run_id="run"))
