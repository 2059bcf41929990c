"""The suite of the OpenClaw validator (contract: proof-of-intent, heartbeats). Pure: all is given."""

import copy
import uuid
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.envelopes import (
    Load,
    Signer,
    announcement_message,
    heartbeat_message,
)
from ironclaw_contracts.poi.receipts import Receipt, fault_of_receipt
from ironclaw_contracts.poi.signatures import intent_hash
from ironclaw_fleet.conformance.case import Case

Message = dict[str, Any]


def poi_suite(signer: Signer, seq_no: int, run: str, now: datetime) -> list[Case]:
    """Return the cases of a validator that has registered `signer` as a Planner; numbers begin at `seq_no`.

    Heartbeats come first, and what has to be rejected comes last: it costs the node reputation.
    """
    return [*_heartbeats(signer, seq_no, run, now), *_intents(signer, seq_no, run, now)]


def _intents(signer: Signer, seq_no: int, run: str, now: datetime) -> list[Case]:
    def announced(version: int, before: str | None, name: str, at: datetime = now, **changes: Any) -> Message:
        intent: Message = {
            "intent_id": _id(run, "intent"),
            "intent_version": version,
            "node_id": signer.node_id,
            "campaign_ref": f"conformance.{run}",
            "action": "conformance",
            "objective": "Check a validator — “all” of it ✅",
            "created_at": format_instant(now),
            "parameters": {"weights": [1.0, 1e21, -0.0, 1e-7], "é": "\u2028", "😀": 1},
        }
        if before is not None:
            intent["previous_intent_hash"] = before
        return announcement_message(
            signer, _id(run, name), at, intent=intent | changes, seq_no=seq_no + version
        )

    first = announced(1, None, "first")
    first_hash = intent_hash(first["intent"])
    second = announced(2, first_hash, "second", objective="Check it again.")
    tampered = copy.deepcopy(announced(3, intent_hash(second["intent"]), "tampered"))
    tampered["intent"]["objective"] = "Something else."
    stranger = announced(1, None, "stranger", intent_id=_id(run, "other"), node_id=_id(run, "nobody"))
    broken = announced(1, None, "broken") | {"intent": {}}
    again = "the same announcement again"
    return [
        _case("an intent is accepted", api.ANNOUNCE.path, first, "accepted"),
        _case(again, api.ANNOUNCE.path, first, "accepted", same_as="an intent is accepted"),
        _case("its next version is accepted", api.ANNOUNCE.path, second, "accepted"),
        _case(
            "a version that links to another", api.ANNOUNCE.path, announced(3, "0" * 64, "link"), "rejected"
        ),
        _case("a gap between versions", api.ANNOUNCE.path, announced(9, first_hash, "gap"), "rejected"),
        _case(
            "a known version with other content",
            api.ANNOUNCE.path,
            announced(2, first_hash, "fork"),
            "rejected",
        ),
        _case("an intent changed after it was signed", api.ANNOUNCE.path, tampered, "rejected"),
        _case("a node that is not registered", api.ANNOUNCE.path, stranger, "rejected"),
        _case("an intent without its fields", api.ANNOUNCE.path, broken, None),
        Case("not JSON", api.ANNOUNCE.path, b"{", {}, 400),
        Case("a key that occurs twice", api.ANNOUNCE.path, b'{"a": 1, "a": 2}', {}, 400),
    ]


def _heartbeats(signer: Signer, seq_no: int, run: str, now: datetime) -> list[Case]:
    def beat(number: int, name: str, at: datetime = now) -> Message:
        return heartbeat_message(
            signer,
            _id(run, name),
            at,
            seq_no=seq_no + number,
            status="online",
            uptime_seconds=1.5,
            load=Load(0.1, 0.2, 0),
            active_intents=[],
            metadata={"run": run, "case": name},
        )

    path, one = api.HEARTBEAT.path, beat(1, "beat")
    forged = copy.deepcopy(beat(2, "forged"))
    forged["heartbeat"]["status"] = "offline"
    crowded = copy.deepcopy(beat(3, "crowded"))
    crowded["heartbeat"]["load"]["cpu"] = 1.5
    crowded["signature"] = signer.signature(crowded["heartbeat"])
    return [
        _case("a heartbeat is accepted", path, one, "accepted"),
        _case("the same heartbeat again", path, one, "accepted", same_as="a heartbeat is accepted"),
        _case("its number with other content", path, beat(1, "other"), "rejected"),
        _case("a gap is accepted", path, beat(5, "later"), "accepted"),
        _case("a lower number", path, beat(4, "lower"), "rejected"),
        _case("a heartbeat changed after it was signed", path, forged, "rejected"),
        _case("an hour ago", path, beat(6, "old", now - timedelta(hours=1)), "rejected"),
        _case("two minutes ago", path, beat(7, "late", now - timedelta(minutes=2)), "needs_review"),
        _case("a load above 1", path, crowded, None),
    ]


def _case(name: str, path: str, message: Message, status: str | None, *, same_as: str | None = None) -> Case:
    """Return a case; without a status it is malformed, and the answer has to be a 400."""
    body = msgspec.json.encode(message)
    if status is None:
        return Case(name, path, body, {}, 400)
    request_id = message["mcp_request"]["request_id"]
    expect = {"ack.status": status, "mcp_response.request_id": request_id}
    return Case(name, path, body, {}, 200, expect, same_as, check=_fault_of_answer)


def _fault_of_answer(body: bytes) -> str | None:
    try:
        receipt = msgspec.json.decode(body, type=Receipt)
    except msgspec.ValidationError as error:
        return f"the answer is no receipt: {error}"
    fault = fault_of_receipt(receipt, receipt.validator_signature.validator_id)
    return f"the receipt: {fault}" if fault is not None else None


def _id(run: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"conformance:{run}:{name}"))
