"""The validator over MCP: a client of the official SDK against a running fleet."""

import json
from typing import Any

import aiohttp
import msgspec
import pytest

from ironclaw_chassis.identity import Identity
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.receipts import Receipt, fault_of_receipt
from tests.support.fleet import FleetUnderTest
from tests.support.mcp_client import connected
from tests.support.nodes import registered


def validator_url(fleet: FleetUnderTest) -> str:
    return f"http://127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}/mcp"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_given_an_mcp_client_when_it_announces_and_beats_then_it_has_signed_acks(
    fleet: FleetUnderTest, mode: str
) -> None:
    async with aiohttp.ClientSession() as session, connected(validator_url(fleet), mode=mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"poi_announce", "availability_heartbeat", "poi_intent", "availability_nodes"}
        node = await registered(fleet, session)
        message = node.announcement(node.intent())
        made = await client.call_tool("poi_announce", {"event": "poi/announce", **message})
        receipt = msgspec.convert(made.structured_content, Receipt)
        assert receipt.ack.status == "accepted"
        assert fault_of_receipt(receipt, receipt.validator_signature.validator_id) is None
        assert json.loads(made.content[0].text) == made.structured_content
        again = await client.call_tool("poi_announce", message)
        assert again.structured_content == made.structured_content
        assert (await node.post("/openclaw/poi/announce", message))[1] == msgspec.json.encode(receipt)
        beat = await client.call_tool(
            "availability_heartbeat", {"event": "availability/heartbeat", **node.beat(1)}
        )
        assert msgspec.convert(beat.structured_content, Receipt).ack.status == "accepted"


async def test_given_an_mcp_client_when_its_message_is_malformed_or_of_another_event_then_it_is_told(
    fleet: FleetUnderTest,
) -> None:
    async with aiohttp.ClientSession() as session, connected(validator_url(fleet)) as client:
        node = await registered(fleet, session)
        message = node.announcement(node.intent())
        for arguments, field in (
            (message | {"intent": 5}, "intent"),
            (message | {"event": "availability/heartbeat"}, "event"),
            (message | {"policy_version": ""}, "policy_version"),
        ):
            made = await client.call_tool("poi_announce", arguments)
            assert made.is_error and field in made.content[0].text
        forged = json.loads(json.dumps(message))
        forged["intent"]["objective"] = "forged"
        refused = msgspec.convert(
            (await client.call_tool("poi_announce", forged)).structured_content, Receipt
        )
        assert refused.ack.status == "rejected"
        assert (await client.call_tool("no_such_tool", {})).is_error


async def test_given_the_reading_tools_when_called_then_only_services_of_the_fleet_are_answered(
    fleet: FleetUnderTest,
) -> None:
    url = validator_url(fleet)
    token = Identity.load(Service.DUTY_OFFICER, fleet.state.keys).token_for(Service.OPENCLAWDBOT)
    async with aiohttp.ClientSession() as session:
        node = await registered(fleet, session)
        message = node.announcement(node.intent())
        await node.announce(message)
        wanted = {"intent_id": message["intent"]["intent_id"]}
        async with connected(url) as stranger:
            for name, arguments in (("poi_intent", wanted), ("availability_nodes", {})):
                refused = await stranger.call_tool(name, arguments)
                assert refused.is_error and "UNAUTHENTICATED" in refused.content[0].text
        async with connected(url, token) as service:
            seen: Any = (await service.call_tool("poi_intent", wanted)).structured_content
            assert seen["messages"][0]["message"] == message
            nodes: Any = (await service.call_tool("availability_nodes", {})).structured_content
            assert node.node_id in {n["node_id"] for n in nodes["nodes"]}
            assert (await service.call_tool("poi_intent", {"intent_id": "x"})).is_error


async def test_given_hostile_bodies_when_posted_to_mcp_then_none_is_a_fault_of_ours(
    fleet: FleetUnderTest,
) -> None:
    twice = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "method": "tools/list"}'
    async with aiohttp.ClientSession() as session:
        for body in (b"", b"{", b"[]", b"\xff", twice, b"[" * 100_000, b"x" * 400_000, b'"text"'):
            headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            async with session.post(validator_url(fleet), data=body, headers=headers) as response:
                assert 400 <= response.status < 500, body[:40]
