"""A past run done again with another profile, from the commits where its orders began."""

import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co, ledger, vault
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import BadRequest, Conflict
from tests.integration.learning.test_policy import TYPE, chat
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended


async def test_given_a_failed_run_when_replayed_with_another_profile_then_both_outcomes_stand_side_by_side(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        past = await chat(client, profile="executor_default")
        await chat(client, profile="good")  # so that the mainline has moved on since
        assert past.orders[0].phase is OrderPhase.FAILED and past.orders[0].worktree is not None
        await client.call(api.LEARN_TICK)
        figures = (await client.call(api.GET_POLICY)).figures[TYPE]

        compared = taught.cli_json("replay", past.run.run_id, "--profile", "good")
        pair = compared["orders"][0]
        assert (pair["before"]["phase"], pair["after"]["phase"]) == ("FAILED", "INTEGRATED")
        assert pair["after"]["profile"] == "good" and pair["after"]["seconds"] > 0
        part = compared["replay"]["parts"][0]
        assert part["base_commit"] == past.orders[0].worktree.base_commit
        again = await client.call(api.GET_RUN, run_id=part["run_id"])
        assert again.run.theater_id != past.run.theater_id and again.run.replays == past.run.run_id
        order = again.orders[0]
        assert order.worktree is not None and order.worktree.base_commit == part["base_commit"]
        assert order.routing is not None and order.routing.basis == "replay"
        await client.call(api.LEARN_TICK)
        assert (await client.call(api.GET_POLICY)).figures[TYPE] == figures
        assert "merged: 0 of 1 then, 1 with good" in taught.cli(
            "replay", past.run.run_id, "--profile", "good"
        )


async def test_given_a_run_with_dependent_orders_when_replayed_then_each_begins_where_it_began(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        request = api.ChatRequest(
            message="Write the call up",
            mode="async",
            playbook="call_summary",
            inputs={"transcript": "Ann: the dam holds. Bob: I check it on Monday."},
            profile="good",
        )
        past = await ended(client, (await client.call(api.CHAT, request)).run_id)
        bases = {o.order_id: o.worktree.base_commit for o in past.orders if o.worktree is not None}
        assert len(bases) == 3 and len(set(bases.values())) >= 2
        async with taught.as_service(Service.API_GATEWAY) as gateway:
            wish = co.ReplayRequest(profile="good", user_id="ann", replay_id="twice")
            replay = await gateway.call(co.REPLAY_RUN, wish, run_id=past.run.run_id)
            assert await gateway.call(co.REPLAY_RUN, wish, run_id=past.run.run_id) == replay
            for part in replay.parts:
                assert {bases[order_id] for order_id in part.order_ids} == {part.base_commit}
                view = await ended(client, part.run_id)
                assert {o.phase for o in view.orders} == {OrderPhase.INTEGRATED}
            runs = await gateway.call(ledger.LIST_RUNS, query=ledger.RunsQuery(limit=50))
            assert sum(run.replays == past.run.run_id for run in runs.runs) == len(replay.parts)


async def test_given_what_cannot_be_replayed_when_asked_for_then_it_is_refused_with_the_reason(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        past = await chat(client, profile="good")
        with pytest.raises(BadRequest, match="executor_default, good"):
            await client.call(api.REPLAY_RUN, api.ReplayWish("nobody"), run_id=past.run.run_id)
        empty = await ended(
            client,
            (
                await client.call(api.CHAT, api.ChatRequest(message="x", mode="async", playbook="replay"))
            ).run_id,
        )
        assert empty.run.reason is not None and "inputs of a replay" in empty.run.reason
        with pytest.raises(Conflict, match="nothing to replay"):
            await client.call(api.REPLAY_RUN, api.ReplayWish("good"), run_id=empty.run.run_id)
        for wish in (
            vault.TheaterRequest(theater_id="half", copy_of="main"),
            vault.TheaterRequest(theater_id="none", copy_of="main", commit="c" * 40),
            vault.TheaterRequest(theater_id="both", copy_of="main", commit="c" * 40, repo_path="/x"),
        ):
            with pytest.raises(BadRequest):
                await client.call(api.OPEN_THEATER, wish)
