"""Learning on a real fleet: outcomes become figures, figures a policy, and the policy routes."""

import asyncio
from typing import Any

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import learning
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.errors import BadRequest, Conflict, Forbidden, NotFound
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import FollowUp
from ironclaw_contracts.snapshots import RunView
from tests.integration.learning.conftest import SLOW
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended, until

TYPE = "draft"


async def chat(client: ServiceClient, **changes: Any) -> RunView:
    """Have one order done, without retries, and return its run."""
    request = api.ChatRequest(
        message="Draft a note",
        mode="async",
        playbook="draft",
        constraints=Constraints(max_retries=0),
        **changes,
    )
    answer = await client.call(api.CHAT, request)
    return await ended(client, answer.run_id)


async def test_given_a_profile_that_fails_when_another_is_tried_then_it_is_proposed_promoted_and_routed_by(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        first = await chat(client)
        assert first.run.status is RunStatus.FAILED
        routing = first.orders[0].routing
        assert routing is not None and (routing.basis, routing.propensity) == ("default", 1.0)

        # Nothing else was ever tried: that it is tried is an operator's decision.
        await client.call(api.LEARN_TICK)
        proposed = taught.cli_json("policy", "diff")
        assert proposed["evaluation"]["readiness"] == "operator_review_required"
        assert "ironclaw policy promote 1" in taught.cli("policy", "diff")
        assert "too little evidence" in taught.cli("policy", "explain", TYPE)
        assert "version 1: in force" in taught.cli("policy", "promote", "1")
        with pytest.raises(Conflict):
            await client.call(api.PROMOTE_POLICY, api.PromotionRequest(1))
        assert "no proposal waits" in taught.cli("policy", "promote", code=1)

        drawn = [await chat(client) for _ in range(20)]
        # A fifth of the orders is drawn for the other profile; of few orders that may be hardly one.
        while not await _proposed(client) and len(drawn) < 300:
            drawn += [await chat(client) for _ in range(5)]
        found = [order.routing for view in drawn for order in view.orders if order.routing is not None]
        assert {r.propensity for r in found} == {0.8, 0.2} and {r.policy_version for r in found} == {1}
        assert {view.run.policy_version for view in drawn} == {1}
        by_profile = {order.order.profile.name: order.phase for view in drawn for order in view.orders}
        assert by_profile == {"executor_default": "FAILED", "good": "INTEGRATED"}

        assert "is in force" in taught.cli("policy", "tick")
        view = await client.call(api.GET_POLICY)
        assert view.proposal is not None and view.proposal.evaluation.readiness == "ready_for_promotion"
        assert not view.autopromote and view.version == 1
        figures = view.figures[TYPE]["good"]
        assert (figures.failed, figures.tokens_in > 0) == (0, True) and figures.latency_seconds is not None
        version = view.proposal.version
        with taught.stand_in(Service.LEARNING, IRONCLAW_POLICY_AUTOPROMOTE="true"):
            await until(lambda: _in_force(client, version), 60, "the promotion by itself")
        assert "recommends good" in taught.cli("policy", "explain", TYPE)
        after = [await chat(client) for _ in range(6)]
        reasons = [order.routing.reason for view in after for order in view.orders if order.routing]
        assert any(f"version {version} recommends good" in reason for reason in reasons)
        merged = next(view for view in after if view.orders[0].order.profile.name == "good")
        assert "recommends good" in taught.cli("order", merged.orders[0].order_id)

        page = await client.call(api.LIST_EVENTS, query=EventsQuery(type=EventType.POLICY_UPDATED))
        actions = [event.payload["action"] for event in page.events]
        assert actions[0] == "configured" and actions.count("promoted") == 2
        slow = api.ChatRequest(message=SLOW, mode="async", playbook="draft", profile="good")
        open_run = (await client.call(api.CHAT, slow)).run_id
        await until(lambda: _planned_under(client, open_run, version), 30, "the plan")
        assert "version 1: in force" in taught.cli("policy", "rollback", "--reason", "to see")
        told = (await ended(client, open_run)).run
        assert told.policy_version == 1
        rolled_back = await client.call(api.GET_POLICY)
        assert rolled_back.version == 1 and rolled_back.history == [0, 1]

        # What a person took back, no replica puts in force again by itself.
        with taught.stand_in(Service.LEARNING, IRONCLAW_POLICY_AUTOPROMOTE="true"):
            await asyncio.sleep(2)
            again = await client.call(api.GET_POLICY)
            assert again.version == 1 and again.proposal is not None
            assert again.proposal.evaluation.readiness == "ready_for_promotion"
        assert taught.cli_json("policy", "promote")["version"] == again.proposal.version
        assert (await client.call(api.ROLL_BACK_POLICY, api.RollbackRequest())).version == 1


async def _planned_under(client: ServiceClient, run_id: str, version: int) -> bool | None:
    run = (await client.call(api.GET_RUN, run_id=run_id)).run
    return (run.plan is not None and run.policy_version == version) or None


async def _proposed(client: ServiceClient) -> bool:
    await client.call(api.LEARN_TICK)
    return (await client.call(api.GET_POLICY)).proposal is not None


async def _in_force(client: ServiceClient, version: int) -> bool | None:
    return (await client.call(api.GET_POLICY)).version == version or None


async def test_given_a_step_whose_author_died_before_telling_when_learning_looks_then_open_runs_are_told_once(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client, taught.as_service(Service.LEARNING) as dying:
        slow = api.ChatRequest(message=SLOW, mode="async", playbook="draft", profile="good")
        run_id = (await client.call(api.CHAT, slow)).run_id
        before = (await client.call(api.GET_POLICY)).version
        await until(lambda: _planned_under(client, run_id, before), 30, "the plan")
        step = PolicyUpdated(action="promoted", version=77, replaces=before, by="ann", reason="x")
        await LedgerClient(dying).append(new_event(EventType.POLICY_UPDATED, step))
        told = (await ended(client, run_id)).run
        assert told.policy_version == 77
        await client.call(api.LEARN_TICK)
        query = EventsQuery(run_id=run_id, type=EventType.RUN_UPDATED)
        updates = (await client.call(api.LIST_EVENTS, query=query)).events
        assert [u.payload["policy_version"] for u in updates if u.payload["note"]] == [77]
        assert (await client.call(api.ROLL_BACK_POLICY, api.RollbackRequest())).version == before


async def test_given_the_ledger_when_the_policy_is_derived_again_at_any_seq_then_it_is_the_same_bytes(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        for _ in range(3):
            await chat(client)
            live = await client.call(api.GET_POLICY)
            again = taught.cli_json("policy", "show", "--as-of", str(live.as_of_seq))
            assert again["sha256"] == live.sha256
        assert "draft" in taught.cli("policy", "show")
        # A process that was killed goes on where it stood.
        before = await client.call(api.GET_POLICY)
        taught.kill(Service.LEARNING)
        routed = (await chat(client)).orders[0].routing  # the policy is in the ledger: routing goes on
        assert routed is not None and routed.policy_version == before.version
        after = await _once_up(client)
        assert after.as_of_seq >= before.as_of_seq
        rebuilt = taught.cli_json("policy", "show", "--as-of", str(after.as_of_seq))
        assert rebuilt["sha256"] == after.sha256


async def _once_up(client: ServiceClient) -> learning.PolicyView:
    async def look() -> learning.PolicyView:
        return await client.call(api.GET_POLICY)

    return await until(look, 30, "learning")


async def test_given_feedback_when_recorded_then_it_counts_once_for_the_orders_that_made_the_reply(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        view = await chat(client, profile="good")
        run_id, order_id = view.run.run_id, view.orders[0].order_id
        assert view.orders[0].routing is not None and view.orders[0].routing.basis == "pinned"
        before = (await client.call(api.GET_POLICY)).figures[TYPE]["good"]
        said = taught.cli_json("feedback", run_id, "reject", "--comment", "wrong tone")
        assert said["counts_for"] == [order_id]
        again = await client.call(api.GIVE_FEEDBACK, api.Opinion("reject"), run_id=run_id)
        assert again.event_id == said["event_id"]
        redo = await client.call(api.GIVE_FEEDBACK, api.Opinion("redo"), run_id=run_id)
        assert redo.counts_for == []
        figures = (await client.call(api.GET_POLICY)).figures[TYPE]["good"]
        assert figures.corrected == before.corrected + 1
        with pytest.raises(NotFound):
            await client.call(api.GIVE_FEEDBACK, api.Opinion("accept"), run_id="no-such-run")


async def test_given_a_chat_that_follows_up_when_taken_in_then_the_earlier_run_is_charged(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        earlier = await chat(client, profile="good")
        taught.cli(
            *("chat", "Shorter", "--playbook", "draft", "--profile", "good"),
            *("--redo", earlier.run.run_id, "--deadline", "60"),
        )
        await client.call(api.LEARN_TICK)
        query = EventsQuery(type=EventType.FEEDBACK_RECORDED, run_id=earlier.run.run_id)
        events = (await client.call(api.LIST_EVENTS, query=query)).events
        assert [(e.payload["verdict"], e.payload["origin"]) for e in events] == [("redo", "follow_up")]
        assert events[0].payload["orders"][0]["order_id"] == earlier.orders[0].order_id
        gone = FollowUp("no-such-run", "reject")
        with pytest.raises(NotFound):
            await client.call(api.CHAT, api.ChatRequest(message="x", follow_up=gone))
        with pytest.raises(BadRequest, match="executor_default, good"):
            await client.call(api.CHAT, api.ChatRequest(message="x", profile="nobody"))
        said = taught.cli("chat", "x", "--redo", "a", "--reject", "b", code=2)
        assert "not both" in said


async def test_given_the_services_own_endpoints_when_called_then_only_the_gateway_may(
    taught: FleetUnderTest,
) -> None:
    async with taught.as_service(Service.API_GATEWAY) as gateway:
        tick = await gateway.call(learning.LEARN_TICK)
        view = await gateway.call(learning.GET_POLICY)
        assert tick.as_of_seq <= view.as_of_seq
        with pytest.raises(Conflict):
            await gateway.call(learning.PROMOTE_POLICY, learning.Promotion(999, "ann"))
        with pytest.raises(NotFound):
            request = learning.FeedbackRequest("accept", "ann")
            await gateway.call(learning.RECORD_FEEDBACK, request, run_id="no-such-run")
        while len((await gateway.call(learning.GET_POLICY)).history) > 1:
            await gateway.call(learning.ROLL_BACK_POLICY, learning.Rollback("ann", "to the beginning"))
        with pytest.raises(Conflict):
            await gateway.call(learning.ROLL_BACK_POLICY, learning.Rollback("ann", "further"))
    async with taught.as_service(Service.CO) as co:
        with pytest.raises(Forbidden):
            await co.call(learning.LEARN_TICK)
