"""Units believed dead that were not: nothing good is thrown away, nothing is merged twice."""

import signal

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.duty_officer import GradesQuery
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from tests.e2e.watchdogs.conftest import Gate, Provider, ask, events_of, only_order
from tests.support.fleet import FleetUnderTest
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until


async def test_given_a_unit_that_finished_and_was_not_heard_when_its_lease_runs_out_then_its_work_is_adopted_at_once(
    quick: FleetUnderTest, provider: Provider
) -> None:
    gate = Gate()
    provider.on("moonlight", gate)
    with Proxy(quick.port_of(Service.LEDGER)) as ledger:
        quick.kill("worker", signal.SIGSTOP)
        try:
            with quick.stand_in(Service.WORKER, IRONCLAW_LEDGER_URL=ledger.url):
                async with quick.client() as client:
                    run_id = await ask(client, "moonlight")
                    await provider.called("moonlight")
                    ledger.mode = "dark"
                    gate.open()
                    view = await ended(client, run_id)
                    adopted = await events_of(client, EventType.ORDER_ADOPTED, run_id=run_id)
                    grades = await client.call(api.GET_GRADES, query=GradesQuery(run_id=run_id))
        finally:
            quick.kill("worker", signal.SIGCONT)
    assert view.run.status is RunStatus.COMPLETE and "worth waiting for" in (view.run.reply or "")
    assert [(e.payload["adopts"], e.payload["attempt"], e.source) for e in adopted] == [
        (1, 2, "duty_officer")
    ]
    assert provider.count("moonlight") == 1
    assert [(j.rule, j.verdict) for j in grades.judgements] == [("lost_unit", "right")]


async def test_given_a_unit_that_finishes_after_it_was_given_up_when_a_newer_one_works_then_the_finished_work_wins(
    quick: FleetUnderTest, provider: Provider
) -> None:
    first, second = Gate(), Gate()
    gates = [first, second]
    provider.on("sunlight", lambda: gates[min(provider.count("sunlight"), 2) - 1]())
    with Proxy(quick.port_of(Service.LEDGER)) as ledger:
        quick.kill("worker", signal.SIGSTOP)
        try:
            with quick.stand_in(Service.WORKER, IRONCLAW_LEDGER_URL=ledger.url):
                async with quick.client() as client:
                    run_id = await ask(client, "sunlight")
                    await provider.called("sunlight")
                    ledger.mode = "dark"

                    async def second_attempt() -> bool | None:
                        orders = (await client.call(api.GET_RUN, run_id=run_id)).orders
                        return orders[0].attempt == 2 or None

                    await until(second_attempt, 30, "the reissue")
                    quick.kill("worker", signal.SIGCONT)
                    await only_order(client, run_id, OrderPhase.RUNNING)
                    first.open()
                    view = await ended(client, run_id)
                    merged = await events_of(client, EventType.INTEGRATED, run_id=run_id)
                    adopted = await events_of(client, EventType.ORDER_ADOPTED, run_id=run_id)
                    grades = await client.call(api.GET_GRADES, query=GradesQuery(run_id=run_id))
        finally:
            second.open()
            quick.kill("worker", signal.SIGCONT)
    assert view.run.status is RunStatus.COMPLETE
    assert [(e.payload["adopts"], e.payload["attempt"]) for e in adopted] == [(1, 3)]
    assert len(merged) == 1
    lost = next(g for g in grades.grades if g.rule == "lost_unit")
    assert (lost.wrong, lost.precision) == (1, 0.0)


async def test_given_a_worker_that_was_stopped_when_it_goes_on_later_then_it_changes_nothing(
    quick: FleetUnderTest, provider: Provider
) -> None:
    gate = Gate()
    provider.on("starlight", gate)
    async with quick.client() as client:
        run_id = await ask(client, "starlight")
        await only_order(client, run_id, OrderPhase.RUNNING)
        quick.kill("worker", signal.SIGSTOP)
        try:
            with quick.stand_in(Service.WORKER):
                gate.open()
                view = await ended(client, run_id)
        finally:
            quick.kill("worker", signal.SIGCONT)
        merged = await events_of(client, EventType.INTEGRATED, run_id=run_id)
    assert view.run.status is RunStatus.COMPLETE
    assert view.orders[0].attempt == 2 and len(merged) == 1
