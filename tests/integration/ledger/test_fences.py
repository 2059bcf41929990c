"""What the ledger refuses: stale attempts, live leases, unproven dependencies, foreign hands."""

import asyncio

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.endpoints.ledger import LeaseRenewal
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import (
    Authority,
    BadRequest,
    Conflict,
    EventConflict,
    IllegalTransition,
    LeaseLive,
    LeaseLost,
    NotFound,
    NotReady,
    StaleAttempt,
)
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent, new_event
from ironclaw_contracts.transitions import TERMINAL_PHASES
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import MERGE, SHA, Scribe

REISSUE = p.OrderReissued(attempt=2, reason="lost", cause=Cause.LOST_UNIT)


async def test_given_a_live_lease_when_reissued_then_refused_and_allowed_once_it_ran_out(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim(lease_seconds=1)
    with pytest.raises(LeaseLive):
        await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)
    final = p.OrderFailed(reason="spent", final=True)
    with pytest.raises(LeaseLive):
        await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_FAILED, final)
    await asyncio.sleep(1.05)
    await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)
    order = await scribe.order()
    assert (order.phase, order.attempt) == (OrderPhase.PLANNED, 2)
    assert order.history[0].cause is Cause.LOST_UNIT and order.worktree is None


async def test_given_a_superseded_attempt_when_its_unit_reports_then_the_zombie_is_refused(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim(lease_seconds=1)
    await asyncio.sleep(1.05)
    await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)
    with pytest.raises(StaleAttempt):
        await scribe.complete(attempt=1)
    with pytest.raises(LeaseLost):
        await ledger.reader.renew(scribe.order_id, LeaseRenewal(attempt=1, unit_id=scribe.unit))
    await scribe.dispatch(attempt=2)
    await scribe.claim(attempt=2)
    await scribe.complete(attempt=2)
    assert (await scribe.order()).phase is OrderPhase.COMPLETED


async def test_given_an_expired_lease_of_the_current_attempt_when_renewed_late_then_it_lives_again(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim(lease_seconds=1)
    await asyncio.sleep(1.05)
    await ledger.reader.renew(scribe.order_id, LeaseRenewal(attempt=1, unit_id=scribe.unit, lease_seconds=15))
    with pytest.raises(LeaseLive):
        await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)


async def test_given_two_units_when_both_claim_then_one_has_the_order(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    claims = [
        scribe.of_order(Service.WORKER, E.ORDER_CLAIMED, p.OrderClaimed(), f"assault_{n}") for n in range(8)
    ]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert all(isinstance(o, IllegalTransition) for o in outcomes if isinstance(o, Exception))


async def test_given_a_foreign_unit_when_it_reports_then_it_is_refused(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    failed = p.OrderFailed(reason="x")
    with pytest.raises(StaleAttempt):
        await scribe.of_order(Service.WORKER, E.ORDER_FAILED, failed, "assault_other")


async def test_given_an_unmerged_dependency_when_enqueued_then_not_ready_names_it(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin("order-0", "order-1", depends_on={"order-1": ["order-0"]})
    with pytest.raises(NotReady, match="order-0 is PLANNED"):
        await scribe.dispatch()
    first = Scribe(ledger, order_id="order-0")
    await first.dispatch()
    await first.claim()
    await first.complete()
    await first.integrate()
    enqueued = p.OrderEnqueued(base_commit=SHA)
    with pytest.raises(NotReady, match=MERGE):
        await scribe.of_order(Service.CO, E.ORDER_ENQUEUED, enqueued)


async def test_given_a_base_that_contains_the_dependency_when_enqueued_then_accepted(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin("order-0", "order-1", depends_on={"order-1": ["order-0"]})
    first = Scribe(ledger, order_id="order-0")
    await first.dispatch()
    await first.claim()
    await first.complete()
    await first.integrate()
    await scribe.dispatch(contains=[MERGE])
    assert (await scribe.order()).phase is OrderPhase.ENQUEUED


async def test_given_open_orders_when_the_run_is_ended_then_refused_until_all_have_ended(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    with pytest.raises(IllegalTransition, match="1 open orders"):
        await scribe.of_run(E.RUN_COMPLETED, p.RunCompleted(reply="x"))
    await scribe.of_order(Service.CO, E.ORDER_CANCELLED, p.OrderCancelled(reason="x"))
    await scribe.of_run(E.RUN_CANCELLED, p.RunEnded(reason="x"))
    run = (await ledger.reader.run(scribe.run_id, None)).run
    assert (run.status, run.orders_open) == (RunStatus.CANCELLED, 0)
    with pytest.raises(IllegalTransition):
        await scribe.of_run(E.RUN_UPDATED, p.RunUpdated(note="late"))


async def test_given_a_report_before_the_aar_when_completed_then_refused(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    completed = p.OrderCompleted(commit_sha=SHA)
    with pytest.raises(IllegalTransition, match="AAR_WRITTEN"):
        await scribe.of_order(Service.WORKER, E.ORDER_COMPLETED, completed, scribe.unit)


async def test_given_a_gated_order_when_another_commit_is_integrated_then_refused(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    await scribe.complete()
    ready = p.IntegrationReady(commit_sha="c" * 40)
    with pytest.raises(Conflict):
        await scribe.of_order(Service.OBSERVER, E.INTEGRATION_READY, ready)


async def test_given_final_failure_when_not_the_duty_officer_says_it_then_refused(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    final = p.OrderFailed(reason="x", final=True)
    with pytest.raises(Authority):
        await scribe.of_order(Service.WORKER, E.ORDER_FAILED, final, scribe.unit)


async def test_given_a_known_event_id_when_repeated_then_it_is_the_same_event_and_another_body_conflicts(
    ledger: Ledger,
) -> None:
    tick = new_event(E.PATROL_TICK, p.PatrolTick(figures={"a": 1}), event_id="tick-1")
    first = (await ledger.appender.append(Service.DUTY_OFFICER, [tick]))[0]
    again = (await ledger.appender.append(Service.DUTY_OFFICER, [tick]))[0]
    assert again.duplicate and (again.seq, again.hash) == (first.seq, first.hash)
    other = new_event(E.PATROL_TICK, p.PatrolTick(figures={"a": 2}), event_id="tick-1")
    with pytest.raises(EventConflict):
        await ledger.appender.append(Service.DUTY_OFFICER, [other])


async def test_given_one_bad_event_when_a_batch_is_appended_then_nothing_of_it_is(ledger: Ledger) -> None:
    good = new_event(E.PATROL_TICK, p.PatrolTick())
    bad = new_event(E.ORDER_REISSUED, REISSUE, order_id="nowhere")
    before, _ = await ledger.store.head()
    with pytest.raises(NotFound):
        await ledger.appender.append(Service.DUTY_OFFICER, [good, bad])
    assert (await ledger.store.head())[0] == before


async def test_given_ids_that_disagree_when_appended_then_400_names_them(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    cancelled = p.OrderCancelled(reason="x")
    with pytest.raises(BadRequest, match="run-1"):
        await scribe.write(Service.CO, E.ORDER_CANCELLED, cancelled, order_id=scribe.order_id, run_id="run-9")
    with pytest.raises(BadRequest, match="order_id"):
        await scribe.write(Service.CO, E.ORDER_CANCELLED, cancelled)


async def test_given_members_of_the_future_when_appended_then_they_are_kept(ledger: Ledger) -> None:
    event = NewEvent(type=E.PATROL_TICK, payload={"figures": {}, "of_the_future": {"b": 1, "a": [1, 2.5]}})
    seq = (await ledger.appender.append(Service.DUTY_OFFICER, [event]))[0].seq
    from ironclaw_contracts.endpoints.ledger import EventsQuery

    stored = (await ledger.reader.events(EventsQuery(after=seq - 1))).events[0]
    assert stored.payload == event.payload and stored.source == "duty_officer"


async def test_given_an_order_under_judgement_when_its_lease_is_renewed_then_the_renewal_waits_for_the_verdict(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim(lease_seconds=1)
    renewal = LeaseRenewal(attempt=1, unit_id=scribe.unit)
    async with ledger.store.appending() as transaction:
        await transaction.load([], {scribe.order_id}, set(), set())
        renewing = asyncio.ensure_future(ledger.reader.renew(scribe.order_id, renewal))
        await asyncio.sleep(0.2)
        assert not renewing.done()
    assert (await renewing).attempt == 1
    await asyncio.sleep(1.05)
    with pytest.raises(LeaseLive):
        await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)


async def test_given_renewals_and_a_reissue_at_once_when_one_wins_then_the_other_is_refused(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim(lease_seconds=1)
    await asyncio.sleep(1.05)
    renewals = [
        ledger.reader.renew(scribe.order_id, LeaseRenewal(attempt=1, unit_id=scribe.unit)) for _ in range(6)
    ]
    reissue = scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, REISSUE)
    *renewed, reissued = await asyncio.gather(*renewals, reissue, return_exceptions=True)
    if isinstance(reissued, LeaseLive):
        assert not any(isinstance(outcome, Exception) for outcome in renewed)
    else:
        assert not isinstance(reissued, BaseException)
        with pytest.raises(LeaseLost):
            await ledger.reader.renew(scribe.order_id, LeaseRenewal(attempt=1, unit_id=scribe.unit))


async def test_given_orders_that_come_and_go_when_their_run_is_read_then_it_is_of_one_moment(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin("o0")
    reading = True

    async def write() -> None:
        nonlocal reading
        for number in range(1, 60):
            order = Scribe(ledger, order_id=f"o{number}")
            made = Order(
                order_id=order.order_id, run_id=scribe.run_id, theater_id="t", type="draft", objective="x"
            )
            await order.write(
                Service.CO,
                E.ORDER_CREATED,
                p.OrderCreated(order=made, title="t"),
                run_id=scribe.run_id,
                order_id=order.order_id,
            )
            await order.of_order(Service.CO, E.ORDER_CANCELLED, p.OrderCancelled(reason="x"))
        reading = False

    async def read() -> None:
        while reading:
            view = await ledger.reader.run(scribe.run_id, None)
            open_orders = [order for order in view.orders if order.phase not in TERMINAL_PHASES]
            assert (view.run.orders_total, view.run.orders_open) == (len(view.orders), len(open_orders))

    await asyncio.gather(write(), read(), read(), read())
    view = await ledger.reader.run(scribe.run_id, None)
    assert (view.run.orders_total, view.run.orders_open) == (60, 1)
