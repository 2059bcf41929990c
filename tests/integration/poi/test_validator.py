"""The OpenClaw validator over HTTP: nodes that sign, operators who register and decide, receipts that hold."""

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import openclawdbot
from ironclaw_contracts.endpoints.openclawdbot_proof import (
    AuditedMessage,
    AuditQuery,
    Registration,
    Retirement,
    ReviewDecision,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound
from ironclaw_contracts.poi.receipts import Receipt, fault_of_receipt
from ironclaw_contracts.poi.signatures import intent_hash
from ironclaw_contracts.poi.verification import verify
from tests.support.fleet import FleetUnderTest
from tests.support.nodes import Node, registered


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_given_an_intent_when_announced_then_the_receipt_holds_and_a_repeat_gives_the_same_bytes(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session)
    message = node.announcement(node.intent())
    first, second = [await node.post(openclawdbot.ANNOUNCE.path, message) for _ in range(2)]
    assert first == second and first[0] == 200
    made = msgspec.json.decode(first[1], type=Receipt)
    assert (made.ack.status, made.ack.validation_notes) == ("accepted", [])
    assert made.mcp_response.request_id == message["mcp_request"]["request_id"]
    anew = {n: v for n, v in message.items() if n != "envelope_signature"} | {"mcp_request": node.request()}
    again = await node.announce(anew)
    assert (again.ack, again.validator_signature) == (made.ack, made.validator_signature)
    assert again.mcp_response.request_id == anew["mcp_request"]["request_id"]
    async with fleet.client() as client:
        validator = await client.call(api.GET_VALIDATOR)
        assert fault_of_receipt(made, validator.validator_id) is None
        seen = await client.call(api.GET_INTENT, intent_id=message["intent"]["intent_id"])
    assert [m.message for m in seen.messages] == [message] and seen.messages[0].receipt == made
    assert "accepted" in fleet.cli("openclaw", "intents", message["intent"]["intent_id"])


async def test_given_versions_of_an_intent_when_linked_or_forked_then_only_the_chain_is_accepted(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session)
    first = node.intent()
    assert (await node.announce(node.announcement(first))).ack.status == "accepted"
    second = first | {"intent_version": 2, "objective": "more", "previous_intent_hash": intent_hash(first)}
    assert (await node.announce(node.announcement(second))).ack.status == "accepted"
    third = second | {"intent_version": 3, "previous_intent_hash": intent_hash(second)}
    for wrong in (
        third | {"previous_intent_hash": intent_hash(first)},
        third | {"intent_version": 4},
        {k: v for k, v in third.items() if k != "previous_intent_hash"},
    ):
        assert (await node.announce(node.announcement(wrong))).ack.status == "rejected"
    other = await registered(fleet, session)
    taken = await other.announce(other.announcement(third | {"node_id": other.node_id}))
    assert (taken.ack.status, taken.ack.validation_notes) == ("rejected", ["the intent is another node's"])
    tampered = await node.announce(node.announcement(first | {"objective": "other"}))
    assert tampered.ack.status == "rejected" and "another hash" in tampered.ack.validation_notes[0]
    async with fleet.client() as client:
        nodes = (await client.call(api.LIST_NODES)).nodes
    assert next(n for n in nodes if n.node_id == node.node_id).reputation < 0.3


async def test_given_twenty_versions_two_announced_at_once_when_judged_then_one_is_accepted(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session)
    first = node.intent()
    await node.announce(node.announcement(first))
    link = {"intent_version": 2, "previous_intent_hash": intent_hash(first)}
    rivals = [node.announcement(first | link | {"objective": f"rival {n}"}) for n in range(20)]
    statuses = [(r.ack.status) for r in await asyncio.gather(*(node.announce(m) for m in rivals))]
    assert statuses.count("accepted") == 1 and statuses.count("rejected") == 19


async def test_given_heartbeats_replayed_reordered_and_concurrent_then_liveness_only_moves_forward(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session, "Worker")
    beat = node.beat(5)
    assert (await node.send(beat)).ack.status == "accepted"
    assert await node.post(openclawdbot.HEARTBEAT.path, beat) == await node.post(
        openclawdbot.HEARTBEAT.path, beat
    )
    assert (await node.send(node.beat(9))).ack.validation_notes == ["gap of 3"]
    for stale in (node.beat(9, uptime_seconds=6), node.beat(4)):
        refused = await node.send(stale)
        assert refused.ack.validation_notes == ["replayed or out of order"]
    beats = [node.beat(n) for n in range(10, 40)]
    answers = await asyncio.gather(*(node.send(b) for b in beats))
    accepted = [
        b["heartbeat"]["seq_no"] for b, a in zip(beats, answers, strict=True) if a.ack.status == "accepted"
    ]
    assert 39 in accepted
    async with fleet.client() as client:
        mine = next(n for n in (await client.call(api.LIST_NODES)).nodes if n.node_id == node.node_id)
    assert (mine.seq_no, mine.status, mine.label) == (39, "online", "test")
    assert node.node_id in fleet.cli("openclaw", "nodes")


async def test_given_senders_and_messages_of_all_kinds_when_refused_then_signed_or_with_the_field(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    stranger = Node(fleet, session)
    refused = await stranger.announce(stranger.announcement(stranger.intent()))
    assert refused.ack.validation_notes == ["the node is not registered"]
    worker = await registered(fleet, session, "Worker")
    assert (await worker.announce(worker.announcement(worker.intent()))).ack.status == "rejected"
    node = await registered(fleet, session)
    message = node.announcement(node.intent())
    forged = copy.deepcopy(message)
    forged["intent"]["objective"] = "forged"
    assert (await node.announce(forged)).ack.validation_notes == ["the signature does not hold"]
    moved = message | {"seq_no": 99}
    assert "envelope_signature" in (await node.announce(moved)).ack.validation_notes[0]
    for raw, field in (
        (b"{", "message"),
        (b'{"intent": 5}', "intent"),
        (json.dumps(message | {"policy_version": ""}).encode(), "message.policy_version"),
    ):
        status, body = await node.post(openclawdbot.ANNOUNCE.path, raw)
        assert status == 400 and field in json.loads(body)["error"]["message"]
    status, _ = await node.post(openclawdbot.HEARTBEAT.path, b"x" * 300_000)
    assert status == 413


async def test_given_a_heartbeat_that_needs_a_person_when_decided_then_the_receipt_is_issued_anew(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session, "Worker")
    active = [{"intent_id": str(uuid.uuid4()), "intent_hash": "0" * 64, "intent_version": 1}]
    waiting = await node.send(node.beat(1, active_intents=active))
    assert waiting.ack.status == "needs_review"
    async with fleet.client() as client:
        listed = (await client.call(api.LIST_REVIEWS)).messages
        assert waiting.ack.ack_id in {m.receipt.ack.ack_id for m in listed}
        decided = await client.call(api.DECIDE_REVIEW, ReviewDecision("accepted"), ack_id=waiting.ack.ack_id)
        assert decided.ack.status == "accepted" and decided.ack.ack_id != waiting.ack.ack_id
        assert decided.ack.validation_notes[-1] == "accepted by operator"
        with pytest.raises(NotFound):
            await client.call(api.DECIDE_REVIEW, ReviewDecision("rejected"), ack_id=str(uuid.uuid4()))
        with pytest.raises(Conflict):
            await client.call(api.DECIDE_REVIEW, ReviewDecision("rejected"), ack_id=decided.ack.ack_id)
    assert waiting.ack.ack_id not in fleet.cli("openclaw", "review")


async def test_given_keys_when_registered_rotated_and_retired_then_each_verifies_only_what_it_may(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session)
    async with fleet.client() as client:
        with pytest.raises(BadRequest, match="public_key_ref"):
            await client.call(
                api.REGISTER_NODE,
                Registration(node_id=node.node_id, role="Planner", public_key_ref="did:key:zweak"),
            )
        with pytest.raises(Conflict):
            await client.call(
                api.REGISTER_NODE, Registration(node_id=node.node_id, role="Judge", public_key_ref=node.did)
            )
        with pytest.raises(NotFound):
            await client.call(api.RETIRE_KEY, Retirement("v9"), node_id=node.node_id)
    assert (await node.announce(node.announcement(node.intent()))).ack.status == "accepted"
    fleet.cli("openclaw", "retire", node.node_id, "v1")
    assert "retired" in (await node.announce(node.announcement(node.intent()))).ack.validation_notes[0]
    node.key, node.version = Ed25519PrivateKey.generate(), "v2"
    fleet.cli("openclaw", "register", node.node_id, "Planner", node.did, "--key-version", "v2")
    assert (await node.announce(node.announcement(node.intent()))).ack.status == "accepted"


async def test_given_the_audit_when_verified_elsewhere_then_it_holds_and_an_altered_message_is_named(
    fleet: FleetUnderTest, session: aiohttp.ClientSession
) -> None:
    node = await registered(fleet, session)
    made = await node.announce(node.announcement(node.intent()))
    assert "every signature holds" in fleet.cli("openclaw", "verify")
    async with fleet.client() as client:
        page = await client.call(api.READ_AUDIT, query=AuditQuery(limit=500))
        while made.ack.ack_id not in {message.receipt.ack.ack_id for message in page.messages}:
            page = await client.call(api.READ_AUDIT, query=AuditQuery(after=page.next_after, limit=500))
        validator_id = (await client.call(api.GET_VALIDATOR)).validator_id
    keys = {(key.node_id, key.version): key.public_key_ref for key in page.keys}
    assert verify(page.messages, keys, validator_id).fault is None
    # The fleet's own nodes beat meanwhile, so ours need not be the last.
    position = [message.receipt.ack.ack_id for message in page.messages].index(made.ack.ack_id)
    messages = msgspec.json.decode(msgspec.json.encode(page.messages), type=list[AuditedMessage])
    messages[position].message["intent"]["objective"] = "altered"
    checked = verify(messages, keys, validator_id)
    assert checked.ack_id == made.ack.ack_id and "does not hold" in (checked.fault or "")


async def test_given_the_services_when_they_read_the_validator_then_the_declared_ones_may(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.as_service(Service.API_GATEWAY) as gateway:
        assert (await gateway.call(openclawdbot.GET_VALIDATOR)).validator_id.startswith("did:oc:z6Mk")
        assert (await gateway.call(openclawdbot.LIST_NODES)).nodes is not None
        assert (await gateway.call(openclawdbot.LIST_REVIEWS)).messages is not None
        assert (await gateway.call(openclawdbot.READ_AUDIT)).keys is not None
        missing = str(uuid.uuid4())
        for endpoint, body, path in (
            (openclawdbot.GET_INTENT, None, {"intent_id": missing}),
            (openclawdbot.RETIRE_KEY, Retirement("v1"), {"node_id": missing}),
            (openclawdbot.DECIDE_REVIEW, ReviewDecision("accepted"), {"ack_id": missing}),
        ):
            with pytest.raises(NotFound):
                await gateway.call(endpoint, body, **path)
        with pytest.raises(BadRequest):
            bad = Registration(node_id=missing, role="Judge", public_key_ref="x")
            await gateway.call(openclawdbot.REGISTER_NODE, bad)
