"""The fleet as nodes: every plan announced, every service heard, silence seen, the validator's death survived."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import duty_officer, openclawdbot
from ironclaw_contracts.endpoints.api_gateway import ChatRequest
from ironclaw_contracts.endpoints.duty_officer_relay import Relayed
from ironclaw_contracts.endpoints.ledger import EscalationsQuery, EventsQuery
from ironclaw_contracts.endpoints.openclawdbot_proof import NodeView, Registration, ReputationView
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.health import Health, health_endpoint
from ironclaw_contracts.poi.receipts import fault_of_receipt
from ironclaw_contracts.snapshots import RunView
from ironclaw_fleet.local import SERVICES
from tests.e2e.proof.conftest import BEAT_SECONDS
from tests.support.fleet import FleetUnderTest
from tests.support.nodes import Node, registered
from tests.support.waiting import until

TTL_SECONDS = 3 * BEAT_SECONDS
NODES_AT_ONCE = 1_000


async def nodes_of(fleet: FleetUnderTest) -> dict[str, NodeView]:
    """The nodes by their labels."""
    async with fleet.client() as client:
        return {node.label: node for node in (await client.call(api.LIST_NODES)).nodes}


async def all_online(fleet: FleetUnderTest) -> bool | None:
    nodes = await nodes_of(fleet)
    return all(nodes[service.value].status in {"online", "busy"} for service in SERVICES) or None


async def ask(fleet: FleetUnderTest, message: str) -> RunView:
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, ChatRequest(message=message))
        return await client.call(api.GET_RUN, run_id=answer.run_id)


async def test_given_a_chat_when_intents_are_required_then_nothing_is_dispatched_before_the_signed_ack(
    careful: FleetUnderTest,
) -> None:
    view = await ask(careful, "summarize: the first. the second.")
    assert view.run.status is RunStatus.COMPLETE
    link = view.run.intent
    assert link is not None and link.ack_status == "accepted" and link.plan_version == 1
    async with careful.client() as client:
        events = (await client.call(api.LIST_EVENTS, query=EventsQuery(run_id=view.run.run_id))).events
        acked = next(e.seq for e in events if e.type is EventType.RUN_UPDATED and e.payload.get("intent"))
        assert acked < min(e.seq for e in events if e.type is EventType.ORDER_ENQUEUED)
        seen = await client.call(api.GET_INTENT, intent_id=link.intent_id)
        validator = (await client.call(api.GET_VALIDATOR)).validator_id
    (message,) = seen.messages
    assert message.receipt.ack.ack_id == link.ack_id
    assert fault_of_receipt(message.receipt, validator) is None
    assert message.message["intent"]["campaign_ref"] == view.run.run_id
    async with careful.as_service(Service.CO) as co:
        held = await co.call(duty_officer.GET_RELAYED_INTENT, intent_id=link.intent_id)
        assert held.receipt == message.receipt and held.intent_hash == link.intent_hash
        with pytest.raises(NotFound):
            await co.call(duty_officer.GET_RELAYED_INTENT, intent_id="none")
        with pytest.raises(BadRequest, match="intent"):
            await co.call(duty_officer.RELAY_INTENT, Relayed({"mcp_request": {}}))
        with pytest.raises(BadRequest, match="heartbeat"):
            await co.call(duty_officer.RELAY_HEARTBEAT, Relayed({"mcp_request": {}}))


async def test_given_a_running_fleet_when_its_services_beat_then_each_shows_its_heartbeat_and_ack(
    careful: FleetUnderTest,
) -> None:
    await until(lambda: all_online(careful))
    async with careful.as_service(Service.SENTINEL) as client:
        view = await client.call(duty_officer.GET_RELAY)
        assert view.connected and view.fault is None and view.intents_waiting == 0
        for service in SERVICES:

            async def acknowledged(service: Service = service) -> Health | None:
                health = await client.call(health_endpoint(service))
                return health if health.last_ack is not None else None

            health = await until(acknowledged)
            assert health.last_heartbeat is not None and health.last_ack is not None
            assert health.last_ack.status == "accepted"
    assert "every signature holds" in careful.cli("openclaw", "verify")


async def test_given_runs_and_rejections_when_reputations_move_then_every_move_is_on_record(
    careful: FleetUnderTest,
) -> None:
    async with aiohttp.ClientSession() as session, careful.client() as client:
        await ask(careful, "summarize: work that is merged. and counts.")

        async def raised() -> ReputationView | None:
            planner = (await nodes_of(careful))["co"]
            view = await client.call(api.GET_REPUTATION, node_id=planner.node_id)
            return view if view.changes else None

        changes = (await until(raised)).changes
        assert all(change.outcome == "completed" and change.before < change.after for change in changes)
        stranger = await registered(careful, session)
        nobody = stranger.intent()
        nobody["intent_version"] = 2
        receipt = await stranger.announce(stranger.announcement(nobody))
        assert receipt.ack.status == "rejected"
        async with careful.as_service(Service.API_GATEWAY) as gateway:
            moved = (await gateway.call(openclawdbot.GET_REPUTATION, node_id=stranger.node_id)).changes
        assert [change.outcome for change in moved] == ["rejected"] and moved[0].after < moved[0].before


async def test_given_the_validator_is_killed_when_runs_are_planned_then_they_wait_and_nothing_is_lost(
    careful: FleetUnderTest,
) -> None:
    before = {label: node.seq_no or 0 for label, node in (await nodes_of(careful)).items()}
    careful.kill("openclawdbot")
    views = await asyncio.gather(*(ask(careful, f"summarize: one {n}. two {n}.") for n in range(3)))
    for view in views:
        assert view.run.status is RunStatus.COMPLETE
        assert view.run.intent is not None and view.run.intent.ack_status == "accepted"
    await until(lambda: all_online(careful))
    after = await nodes_of(careful)
    assert all((after[s.value].seq_no or 0) > before[s.value] for s in SERVICES)
    assert "every signature holds" in careful.cli("openclaw", "verify")


async def test_given_a_node_of_ours_that_stands_still_when_its_ttl_is_over_then_it_is_unknown_and_we_are_told(
    careful: FleetUnderTest,
) -> None:
    await until(lambda: all_online(careful))
    (pid,) = careful.pids("observer")
    observer = (await nodes_of(careful))["observer"]
    os.kill(pid, signal.SIGSTOP)
    try:

        async def is_unknown() -> NodeView | None:
            node = (await nodes_of(careful))["observer"]
            return node if node.status == "unknown" else None

        silent = await until(is_unknown)
        assert silent.heard_at is not None and observer.heard_at is not None

        async def told() -> bool | None:
            async with careful.client() as client:
                page = await client.call(api.LIST_ESCALATIONS, query=EscalationsQuery())
            return any(e.subject == "node observer" for e in page.escalations) or None

        await until(told)
        async with aiohttp.ClientSession() as session:
            forger = Node(careful, session, role="Judge")
            forger.node_id = silent.node_id
            assert (await forger.send(forger.beat((silent.seq_no or 0) + 50))).ack.status == "rejected"
        assert await is_unknown() is not None
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: all_online(careful))


async def test_given_a_node_that_falls_silent_when_followed_then_each_change_is_told_within_a_second(
    careful: FleetUnderTest,
) -> None:
    async with aiohttp.ClientSession() as session, careful.client() as client:
        node = await registered(careful, session, role="Worker")
        seen: list[dict[str, Any]] = []

        async def follow() -> None:
            async for line in client.lines(
                api.FOLLOW_NODES
            ):  # the gateway's view of openclawdbot.STREAM_NODES
                if not line.startswith(b"data:"):
                    continue
                view = json.loads(line[5:])
                if view["node_id"] == node.node_id:
                    seen.append(view)
                    if view["status"] == "unknown" and view["heard_at"]:
                        return

        following = asyncio.create_task(follow())
        await node.send(node.beat(1))
        async with asyncio.timeout(30):
            await following
        told_at = datetime.now(UTC)
        assert [view["status"] for view in seen][-2:] == ["online", "unknown"]
        ttl_over = datetime.fromisoformat(seen[-1]["heard_at"]) + timedelta(seconds=TTL_SECONDS)
        # A second is the contract's; the rest is for a machine that has other work.
        assert timedelta(0) < told_at - ttl_over < timedelta(seconds=5)


async def test_given_a_thousand_nodes_when_all_beat_at_once_then_every_one_is_acknowledged(
    careful: FleetUnderTest,
) -> None:
    connector = aiohttp.TCPConnector(limit=50)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        careful.as_service(Service.API_GATEWAY) as gateway,
    ):
        crowd = [Node(careful, session, role="Worker") for _ in range(NODES_AT_ONCE)]
        slots = asyncio.Semaphore(16)

        async def register(node: Node) -> None:
            async with slots:
                request = Registration(node_id=node.node_id, role="Worker", public_key_ref=node.did)
                await gateway.call(openclawdbot.REGISTER_NODE, request)

        await asyncio.gather(*(register(node) for node in crowd))
        receipts = await asyncio.gather(*(node.send(node.beat(1)) for node in crowd))
        assert {receipt.ack.status for receipt in receipts} == {"accepted"}
        assert len({receipt.ack.ack_id for receipt in receipts}) == NODES_AT_ONCE
        heard = {
            node.node_id for node in (await gateway.call(openclawdbot.LIST_NODES)).nodes if node.seq_no == 1
        }
        assert {node.node_id for node in crowd} <= heard


async def test_given_a_services_node_when_its_key_is_rotated_then_it_beats_on_under_the_new_one(
    careful: FleetUnderTest,
) -> None:
    await until(lambda: all_online(careful))
    careful.cli("openclaw", "rotate-key", "vault")

    async def beats_anew() -> NodeView | None:
        node = (await nodes_of(careful))["vault"]
        return node if node.status == "online" and (node.seq_no or 0) < 10 else None

    node = await until(beats_anew)
    folder = careful.state.path / "nodes" / "vault"
    assert {path.name for path in folder.glob("*.key")} == {"v1.key", "v2.key"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.glob("v*"))
    async with careful.client() as client:
        audit = await client.call(api.READ_AUDIT)
        keys = {key.version: key for key in audit.keys if key.node_id == node.node_id}
    assert keys["v1"].retired_at is not None and keys["v2"].retired_at is None
    assert "every signature holds" in careful.cli("openclaw", "verify")
    assert "no node" in careful.cli("openclaw", "rotate-key", "vault", "--port", "1", code=1)


def test_given_a_validator_when_the_published_cases_are_sent_then_it_passes_them_twice(
    careful: FleetUnderTest,
) -> None:
    url = f"http://127.0.0.1:{careful.port_of(Service.OPENCLAWDBOT)}"
    for _ in range(2):
        outcomes = careful.cli_json("conformance", "poi", "--against", url)
        assert [o for o in outcomes if o["fault"]] == [] and len(outcomes) >= 20
    key = careful.state.path / "node.pem"
    made = careful.cli("conformance", "poi", "--against", url, "--key", str(key), code=1)
    node_id, did = made.split("node ")[1].split()[0], made.split("with ")[1].split()[0]
    unknown = careful.cli("conformance", "poi", "--against", url, "--key", str(key), code=1)
    assert "FAIL an intent is accepted" in unknown
    careful.cli("openclaw", "register", node_id, "Planner", did)
    assert "FAIL" not in careful.cli("conformance", "poi", "--against", url, "--key", str(key))
    nowhere = careful.cli("conformance", "poi", "--against", "http://127.0.0.1:9", code=1)
    assert "no answer" in nowhere
