"""The watchdogs as an operator meets them: breakers, escalations, patrols, audits, failover, webhooks."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal

import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co, duty_officer, integration, ledger, observer, sentinel, vault
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service, Severity
from ironclaw_contracts.errors import Authority, Conflict, Forbidden
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import EscalationRaised, PatrolTick
from ironclaw_contracts.snapshots import PATROL_LEAD
from tests.e2e.watchdogs.conftest import WEBHOOK_SECRET, Gate, Provider, ask, events_of, only_order
from tests.e2e.watchdogs.receiver import WebhookReceiver
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.waiting import ended, until


async def test_given_a_provider_that_is_away_when_it_is_back_then_one_person_heard_once_and_nothing_failed(
    quick: FleetUnderTest, provider: Provider
) -> None:
    away = True
    provider.on("outage", lambda: (503, "away") if away else (200, "back"))
    async with quick.client() as client:
        runs = [await ask(client, f"outage {number}") for number in range(5)]
        orders = [await only_order(client, run_id, OrderPhase.ATTEMPT_FAILED) for run_id in runs]
        why = json.loads(quick.cli("why", runs[0], "--json"))
        assert why["blocker"] == "held_provider_down", why
        recovered = quick.cli("recover", orders[0].order_id)
        assert "reissued" in recovered
        await asyncio.sleep(3)
        away = False
        views = [await ended(client, run_id) for run_id in runs]
        raised = [
            e
            for e in await events_of(client, EventType.ESCALATION_RAISED)
            if e.payload["subject"] == "cause:provider_down"
        ]
        degraded = [
            (e.type, e.payload["service"])
            for e in await events_of(client, EventType.SERVICE_DEGRADED, EventType.SERVICE_RECOVERED)
            if e.payload["service"] == "provider_down"
        ]
    assert all(view.run.status is RunStatus.COMPLETE for view in views)
    assert len(raised) == 1
    assert degraded == [("SERVICE_DEGRADED", "provider_down"), ("SERVICE_RECOVERED", "provider_down")]
    listed = quick.cli_json("escalations", "list", "--severity", "HIGH", "--state", "open")["escalations"]
    assert raised[0].event_id in {e["escalation_id"] for e in listed}
    quick.cli("escalations", "ack", raised[0].event_id, "--note", "the provider had a bad night")
    acked = quick.cli_json("escalations", "list", "--state", "acked", "--limit", "5")["escalations"]
    assert (acked[0]["acked_by"], acked[0]["note"]) == ("operator", "the provider had a bad night")
    assert "was acknowledged by" in quick.cli("escalations", "ack", raised[0].event_id, code=1)
    assert raised[0].event_id not in quick.cli("escalations", "list")


async def test_given_a_theater_when_patrolled_twice_then_the_second_patrol_finds_nothing_new(
    quick: FleetUnderTest,
) -> None:
    quick.cli("theater", "add", "orphanage")
    async with quick.client() as client:
        theaters = (await client.call(api.LIST_THEATERS)).theaters
        theater = next(t for t in theaters if t.theater_id == "orphanage")
        path = f"{theater.worktrees_path}/order_nobodys"
        git(theater.repo_path, "worktree", "add", "-q", path, "-b", "order_nobodys")

        async def told() -> bool | None:
            raised = await events_of(client, EventType.ESCALATION_RAISED, theater_id="orphanage")
            return bool(raised) or None

        await until(told, 20, "the orphan's escalation")
        second = await client.call(api.PATROL_THEATER, theater_id="orphanage")
        third = await client.call(api.PATROL_THEATER, theater_id="orphanage")
        assert [f.check for f in second.findings] == ["orphan_worktree"] and second.new == []
        assert third == second
        assert second.checked["orphan_worktree"] == 1
        assert set(second.checked) >= {
            "running_without_lease",
            "running_without_progress",
            "worktree_missing",
        }
        assert len(await events_of(client, EventType.ESCALATION_RAISED, theater_id="orphanage")) == 1
    assert "orphan_worktree" in quick.cli("patrol", "orphanage")


async def test_given_a_fleet_at_rest_when_patrolled_and_audited_then_the_figures_say_so(
    quick: FleetUnderTest,
) -> None:
    patrolled = quick.cli_json("patrol")
    assert patrolled["figures"]["services_degraded"] == 0
    assert patrolled["figures"]["theaters"] >= 1
    audited = quick.cli_json("audit")
    assert audited["last_tick_by"] == "duty_officer" and audited["failover"] is False
    assert "last patrol" in quick.cli("audit")
    assert "rule" in quick.cli("grades")


@pytest.mark.trust
async def test_given_two_duty_officers_when_units_are_lost_then_each_order_is_reissued_once(
    quick: FleetUnderTest,
) -> None:
    with quick.stand_in(Service.DUTY_OFFICER):
        quick.cli("drill", "--fault", "vanish", "--fault", "delete_worktree", "--deadline", "90")
        async with quick.client() as client:
            reissued = await events_of(client, EventType.ORDER_REISSUED, theater_id="drill")
    attempts = [(event.order_id, event.payload["attempt"]) for event in reissued]
    assert len(attempts) == len(set(attempts))


async def test_given_a_duty_officer_that_hangs_when_a_unit_is_lost_then_the_sentinel_recovers_it_and_gives_back(
    quick: FleetUnderTest, provider: Provider
) -> None:
    gate = Gate()
    provider.on("failover", gate)
    async with quick.client() as client:
        run_id = await ask(client, "failover")
        await only_order(client, run_id, OrderPhase.RUNNING)
        quick.kill("duty_officer", signal.SIGSTOP)
        try:
            quick.kill("worker")
            gate.open()
            view = await ended(client, run_id)
            audited = json.loads(quick.cli("audit", "--json", code=None))
            reissued = await events_of(client, EventType.ORDER_REISSUED, run_id=run_id)
        finally:
            quick.kill("duty_officer", signal.SIGCONT)

        async def given_back() -> bool | None:
            found = await client.call(api.AUDIT)
            return (not found.failover and found.last_tick_by == "duty_officer") or None

        await until(given_back, 30, "the duty officer's return")
        raised = await events_of(client, EventType.ESCALATION_RAISED)
    assert view.run.status is RunStatus.COMPLETE
    assert audited["failover"] is True
    assert {event.source for event in reissued} == {"sentinel"}
    dead = [e for e in raised if e.payload["subject"] == "audit:tick_age"]
    assert dead and all((e.source, e.payload["severity"]) == ("sentinel", "CRITICAL") for e in dead)


async def test_given_a_co_that_hangs_when_a_run_stands_still_then_a_person_hears_and_it_goes_on_after(
    quick: FleetUnderTest,
) -> None:
    async with quick.client() as client:
        quick.kill("co", signal.SIGSTOP)
        try:
            with pytest.raises(Exception, match="co"):
                await client.call(
                    api.CHAT, api.ChatRequest(message="write anything", mode="async", playbook="draft")
                )

            async def degraded() -> bool | None:
                events = await events_of(client, EventType.SERVICE_DEGRADED)
                return any(e.payload["service"] == "co" for e in events) or None

            await until(degraded, 40, "SERVICE_DEGRADED of co")
        finally:
            quick.kill("co", signal.SIGCONT)

        async def recovered() -> bool | None:
            events = await events_of(client, EventType.SERVICE_RECOVERED)
            return any(e.payload["service"] == "co" for e in events) or None

        await until(recovered, 40, "SERVICE_RECOVERED of co")
        told = [
            e.type
            for e in await events_of(client, EventType.SERVICE_DEGRADED, EventType.SERVICE_RECOVERED)
            if e.payload["service"] == "co"
        ]
    assert told == [EventType.SERVICE_DEGRADED, EventType.SERVICE_RECOVERED]  # once a change, not once a tick


async def test_given_a_webhook_when_something_cannot_wait_then_it_is_sent_signed_and_tried_again(
    quick: FleetUnderTest, webhook: WebhookReceiver
) -> None:
    async with quick.as_service(Service.OBSERVER) as client:
        for severity, route in ((Severity.LOW, "log"), (Severity.CRITICAL, "webhook")):
            raised = EscalationRaised(severity=severity, subject="x", route=route, reason="look here")
            event = new_event(EventType.ESCALATION_RAISED, raised, event_id=f"esc-{severity}")
            await client.call(ledger.APPEND_EVENT, event)

    async def delivered() -> bool | None:
        return len(webhook.of("esc-CRITICAL")) >= 2 or None

    await until(delivered, 20, "the second delivery")
    headers, body = webhook.of("esc-CRITICAL")[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(WEBHOOK_SECRET.encode(), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(body)["data"]["id"] == "esc-CRITICAL"
    assert webhook.of("esc-LOW") == []
    assert WEBHOOK_SECRET not in (quick.state.logs / "sentinel.log").read_text()


async def test_given_the_watchdogs_own_endpoints_when_others_call_then_only_the_declared_callers_may(
    quick: FleetUnderTest,
) -> None:
    async with quick.as_service(Service.API_GATEWAY) as gateway:
        assert (await gateway.call(sentinel.AUDIT)).last_tick_at is not None
        assert (await gateway.call(duty_officer.GET_GRADES)).grades is not None
        page = await gateway.call(ledger.LIST_ESCALATIONS)
        assert isinstance(page.escalations, list)
        listed = await gateway.call(vault.LIST_SALVAGE, theater_id="main")
        with pytest.raises(Conflict, match="nothing to recover"):
            orders = await gateway.call(
                ledger.LIST_ORDERS, query=ledger.OrdersQuery(phase=OrderPhase.INTEGRATED)
            )
            await gateway.call(duty_officer.RECOVER_ORDER, order_id=orders.orders[0].order_id)
        for endpoint, arguments in (
            (co.ACK_ESCALATION, {"escalation_id": "none"}),
            (vault.SHOW_SALVAGE, {"order_id": "none"}),
            (vault.RESTORE_SALVAGE, {"order_id": "none"}),
        ):
            body = {"ack_escalation": co.Acknowledgement("x"), "restore_salvage": vault.Restoration()}
            with pytest.raises(Exception, match="there is no"):
                await gateway.call(endpoint, body.get(endpoint.name), **arguments)
        assert all(item.order_id for item in listed.salvage)
        with pytest.raises(Forbidden):
            await gateway.call(ledger.TAKE_LEAD, ledger.LeadClaim("x"), lead_id=PATROL_LEAD)
    async with quick.as_service(Service.SENTINEL) as watch:
        with pytest.raises(Conflict, match="leads patrol"):
            await watch.call(ledger.TAKE_LEAD, ledger.LeadClaim("intruder"), lead_id=PATROL_LEAD)
        query = ledger.LeadQuery("intruder")
        assert not (await watch.call(ledger.RELEASE_LEAD, query=query, lead_id=PATROL_LEAD)).released
        with pytest.raises(Authority):
            await watch.call(ledger.APPEND_EVENT, new_event(EventType.PATROL_TICK, PatrolTick()))
        orders = (await watch.call(ledger.LIST_ORDERS)).orders
        seen = await watch.call(observer.INSPECT_ORDER, order_id=orders[0].order_id)
        assert seen.order_id == orders[0].order_id
        merged = next(o for o in orders if o.phase is OrderPhase.INTEGRATED and o.commit_sha)
        tried = integration.TrialRequest(
            order_id=merged.order_id, attempt=merged.attempt, commit_sha=merged.commit_sha or ""
        )
        trial = await watch.call(integration.TRY_MERGE, tried)
        assert trial.passed or trial.reason
