"""Proof-of-intent: the published vectors, tampering, keys that prove nothing, and the validator's rules."""

import copy
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.poi.did import BadKey, check_public_key, did_of, public_key_of, validator_id_of
from ironclaw_contracts.poi.messages import BadMessage, parse, read_announcement, read_heartbeat
from ironclaw_contracts.poi.receipts import (
    Ack,
    McpResponse,
    Receipt,
    ValidatorSignature,
    ack_id_of,
    fault_of_receipt,
    receipt,
)
from ironclaw_contracts.poi.signatures import Signature, fault_of, fault_over, intent_hash, sign
from ironclaw_openclawdbot.proof.rules import (
    Node,
    NodeKey,
    Verdict,
    Version,
    judge_announcement,
    judge_heartbeat,
    moved,
)
from ironclaw_openclawdbot.proof.showing import liveness
from ironclaw_openclawdbot.proof.store import Standing

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "poi" / "poi.json").read_text()
)
NOW = datetime.fromisoformat("2026-02-05T12:00:10+00:00")
PLANNER, WORKER = VECTORS["keys"]["planner"], VECTORS["keys"]["worker"]
FIRST, SECOND = (case["envelope"] for case in VECTORS["announce"])
BEAT = VECTORS["heartbeat"]["envelope"]


def private(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["keys"][name]["private_key_hex"]))


def node(role: str = "Planner", reputation: float = 0.5, retired_at: datetime | None = None) -> Node:
    key, owner = (PLANNER, FIRST["intent"]) if role == "Planner" else (WORKER, BEAT["heartbeat"])
    return Node(owner["node_id"], role, reputation, keys=[NodeKey("v1", key["did_key"], retired_at)])


def announced(envelope: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a message with a changed intent, signed anew."""
    made = copy.deepcopy(envelope)
    made["intent"] |= changes
    made["intent_signature"]["signature_blob"] = sign(private("planner"), made["intent"])
    return made


def judge(
    envelope: dict[str, Any], stored: list[Version] | None = None, by: Node | None = None, now: datetime = NOW
) -> Verdict:
    message = read_announcement(parse(json.dumps(envelope).encode()))
    return judge_announcement(message, by or node(), stored or [], now)


def test_given_the_published_vectors_when_read_then_bytes_hashes_keys_and_signatures_are_theirs() -> None:
    for key in VECTORS["keys"].values():
        raw = bytes.fromhex(key["public_key_hex"])
        assert did_of(raw) == key["did_key"] and public_key_of(key["did_key"]) == raw
    for case in VECTORS["announce"]:
        message = read_announcement(parse(json.dumps(case["envelope"]).encode()))
        assert (jcs(message.intent).decode(), message.hash) == (case["canonical"], case["intent_hash"])
        assert fault_of(message.signature, message.intent) is None
    beat = read_heartbeat(parse(json.dumps(BEAT).encode()))
    assert jcs(beat.heartbeat).decode() == VECTORS["heartbeat"]["canonical"]
    assert fault_of(beat.signature, beat.heartbeat) is None
    published = VECTORS["ack"]
    found = Receipt(
        McpResponse("r", "t"),
        msgspec.convert(published["ack"], Ack),
        msgspec.convert(published["validator_signature"], ValidatorSignature),
    )
    validator_id = VECTORS["keys"]["validator"]["validator_id"]
    assert fault_of_receipt(found, validator_id) is None
    assert fault_of_receipt(found, validator_id_of(bytes.fromhex(PLANNER["public_key_hex"]))) is not None


def test_given_an_ack_when_signed_then_it_holds_and_its_id_is_that_of_the_signed_bytes() -> None:
    validator_id = VECTORS["keys"]["validator"]["validator_id"]
    signed = FIRST["intent"]
    ids = [ack_id_of(validator_id, signed), ack_id_of(validator_id, dict(reversed(signed.items())))]
    assert ids[0] == ids[1] != ack_id_of(validator_id, signed, issue=1)
    ack = Ack(ids[0], signed["intent_id"], signed["node_id"], "2026-02-05T12:00:01Z", "accepted", [])
    made = receipt(private("validator"), validator_id, "request", ack, NOW)
    assert fault_of_receipt(made, validator_id) is None
    forged = msgspec.structs.replace(made, ack=msgspec.structs.replace(ack, status="rejected"))
    assert fault_of_receipt(forged, validator_id) == "the signature does not hold"


@pytest.mark.trust
def test_given_every_bit_of_a_signed_object_and_its_signature_when_flipped_then_it_is_refused() -> None:
    canonical = VECTORS["announce"][0]["canonical"].encode()
    signature = msgspec.convert(FIRST["intent_signature"], Signature)
    tried = 0
    for position in range(len(canonical) * 8):
        flipped = bytearray(canonical)
        flipped[position // 8] ^= 1 << position % 8
        try:
            value = parse(bytes(flipped))
        except BadMessage:
            continue
        if jcs(value) == canonical:
            continue  # 1E+21 for 1e+21: the same value
        tried += 1
        assert fault_of(signature, value) is not None
    blob = signature.signature_blob
    for position in range(len(blob) * 8):
        flipped = bytearray(blob.encode())
        flipped[position // 8] ^= 1 << position % 8
        changed = msgspec.structs.replace(signature, signature_blob=flipped.decode("latin-1"))
        assert fault_of(changed, FIRST["intent"]) is not None
        tried += 1
    assert tried > 2_500


@pytest.mark.trust
def test_given_signatures_that_are_nearly_right_when_checked_then_none_holds() -> None:
    import base64

    order = 2**252 + 27742317777372353535851937790883648493
    raw = base64.b64decode(FIRST["intent_signature"]["signature_blob"])
    shifted = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    good = msgspec.convert(FIRST["intent_signature"], Signature)
    for blob in (
        base64.b64encode(shifted).decode(),
        "",
        good.signature_blob[:-4],
        good.signature_blob + "AAAA",
    ):
        assert fault_of(msgspec.structs.replace(good, signature_blob=blob), FIRST["intent"]) is not None
    for algorithm in ("rsa", "ED25519", ""):
        assert fault_of(msgspec.structs.replace(good, algorithm=algorithm), FIRST["intent"]) is not None


@pytest.mark.trust
@pytest.mark.parametrize(
    "encoding",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ],
)
def test_given_a_weak_or_non_canonical_key_when_named_then_it_is_refused(encoding: str) -> None:
    raw = bytes.fromhex(encoding)
    with pytest.raises(BadKey):
        check_public_key(raw)
    with pytest.raises(BadKey):
        public_key_of(did_of(raw))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:",
        "did:key:z",
        "did:web:x",
        PLANNER["did_key"][:-1],
        PLANNER["did_key"] + "1",
        "did:key:z0OIl",
    ],
)
def test_given_a_did_that_names_no_key_when_read_then_it_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        public_key_of(text)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "message"),
        (b"[]", "message"),
        (b'{"a": NaN}', "message"),
        (b'{"a": 1, "a": 2}', "message"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": 9007199254740992}', "a"),
        (b'{"a": 1e400}', "a"),
        (b'{"a":-1.5E400}', "a"),
        (b'{"a": [1, \n 10e400]}', "a[1]"),
        (b'{"a": -9007199254740992}', "a"),
        (b'{"a": 1' + b"0" * 400 + b".0}", "a"),
        (b'{"a": "\\u0000"}', "a"),
        (b'{"\\u0000": 1}', "message"),
        (b'{"a": ' + b"[" * 31 + b"1" + b"]" * 31 + b"}", "a"),
        (b'{"a": "' + b"x" * 8_193 + b'"}', "a"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "a"),
        (b'{"a": [' + b"1," * 1_000 + b"1]}", "a"),
        (b'{"a": "' + b"x" * 300_000 + b'"}', "message"),
        (b'{"a": "\xff"}', "message"),
    ],
)
def test_given_a_message_beyond_the_bounds_when_parsed_then_the_field_is_named(
    raw: bytes, field: str
) -> None:
    with pytest.raises(BadMessage) as found:
        parse(raw)
    assert str(found.value).startswith(field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("intent", "intent_id"), "x", "intent.intent_id"),
        (("intent", "intent_version"), 0, "intent.intent_version"),
        (("intent", "created_at"), "now", "intent.created_at"),
        (("intent", "parameters"), [], "intent.parameters"),
        (("intent", "previous_intent_hash"), "F" * 64, "intent.previous_intent_hash"),
        (("mcp_request", "request_id"), "1", "mcp_request.request_id"),
        (("mcp_request", "caller"), {"agent_id": "1", "role": "Boss"}, "mcp_request"),
        (("intent_signature",), None, "intent_signature"),
        (("seq_no",), -1, "message.seq_no"),
        (("timestamp",), 5, "message.timestamp"),
    ],
)
def test_given_an_announcement_with_a_wrong_field_when_read_then_it_is_named(
    path: tuple[str, ...], value: object, field: str
) -> None:
    made = copy.deepcopy(FIRST)
    target = made
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    with pytest.raises(BadMessage) as found:
        read_announcement(made)
    assert str(found.value).startswith(field)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "dead"),
        ("load", {"cpu": 1.1, "mem": 0, "pending_jobs": 0}),
        ("uptime_seconds", -1),
        ("campaign_refs", "one"),
        ("campaign_refs", [1]),
        ("mcp_connection", "there"),
        ("metadata", []),
        ("active_intents", None),
    ],
)
def test_given_a_heartbeat_with_a_wrong_field_when_read_then_it_is_named(name: str, value: object) -> None:
    with pytest.raises(BadMessage) as found:
        read_heartbeat(BEAT | {"heartbeat": BEAT["heartbeat"] | {name: value}})
    assert str(found.value).startswith(f"heartbeat.{name}")


@pytest.mark.parametrize("status", ["online", "busy", "offline"])
def test_given_a_node_past_its_ttl_when_shown_then_it_is_unknown_whatever_it_said_last(status: str) -> None:
    standing = Standing("n", "Worker", "", 0.5, True, status, 1, NOW)
    assert liveness(standing, NOW + timedelta(seconds=90), 30) == status
    assert liveness(standing, NOW + timedelta(seconds=90.1), 30) == "unknown"


def test_given_an_intent_when_announced_again_changed_or_out_of_order_then_links_and_hashes_decide() -> None:
    owner = node().node_id
    first = Version(1, intent_hash(FIRST["intent"]), "accepted", owner)
    assert judge(FIRST) == Verdict("accepted", ["envelope metadata unsigned"])
    assert judge(FIRST, [first]).repeated
    tampered = judge(announced(FIRST, objective="another"), [first])
    assert (tampered.status, tampered.outcome) == ("rejected", "tampered")
    assert judge(SECOND, [first]).status == "accepted"
    for stored, envelope in (
        ([], SECOND),
        ([first], announced(SECOND, intent_version=3)),
        ([first], announced(SECOND, previous_intent_hash="0" * 64)),
        ([], announced(FIRST, previous_intent_hash="0" * 64)),
    ):
        assert judge(envelope, stored).status == "rejected"
    fork = Version(2, "f" * 64, "accepted", owner)
    assert judge(SECOND, [first, fork]).outcome == "tampered"


def test_given_an_intent_of_another_node_when_changed_then_only_a_replica_of_ours_may() -> None:
    ours, theirs = (
        Version(1, intent_hash(FIRST["intent"]), "accepted", "another", ours=ours) for ours in (True, False)
    )
    replica = msgspec.structs.replace(node(), ours=True)
    assert judge(SECOND, [ours], by=replica).status == "accepted"
    for stored, by in ((ours, node()), (theirs, replica), (theirs, node())):
        assert judge(SECOND, [stored], by=by) == Verdict(
            "rejected", ["the intent is another node's"], "rejected"
        )


def test_given_senders_of_all_kinds_when_judged_then_only_a_registered_planner_in_good_standing_passes() -> (
    None
):
    unknown = judge_announcement(read_announcement(FIRST), None, [], NOW)
    assert unknown.notes == ["the node is not registered"]
    as_worker = Node(FIRST["intent"]["node_id"], "Worker", 0.5, keys=node().keys)
    assert judge(FIRST, by=as_worker).notes == ["only a Planner may announce an intent"]
    assert judge(FIRST, by=node(reputation=0.29)).status == "needs_review"
    assert judge(FIRST, by=node(reputation=0.09)).status == "rejected"
    at = datetime.fromisoformat("2026-02-05T12:00:00+00:00")
    assert "retired" in judge(FIRST, by=node(retired_at=at)).notes[0]
    assert judge(FIRST, by=node(retired_at=at + timedelta(seconds=1))).status == "accepted"
    forged = copy.deepcopy(FIRST)
    forged["intent"]["objective"] = "forged"
    assert judge(forged) == Verdict("rejected", ["the signature does not hold"])


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(60, "accepted"), (61, "needs_review"), (300, "needs_review"), (301, "rejected"), (-301, "rejected")],
)
def test_given_a_clock_that_is_apart_when_judged_then_the_distance_decides(seconds: int, status: str) -> None:
    at = datetime.fromisoformat("2026-02-05T12:00:00+00:00") + timedelta(seconds=seconds)
    assert judge(FIRST, now=at).status == status


def beat(seq: int, last: int | None, same: bool = False, **changes: Any) -> Verdict:
    made = copy.deepcopy(BEAT)
    made["heartbeat"] |= {"seq_no": seq} | changes
    made["signature"]["signature_blob"] = sign(private("worker"), made["heartbeat"])
    message = read_heartbeat(made)
    known = {
        a.intent_id: [Version(a.intent_version, a.intent_hash, "accepted", node().node_id)]
        for a in message.active_intents[:1]
    }
    if "active_intents" in changes:
        known = {}
    fault = fault_over(message.signature, message.canonical)
    return judge_heartbeat(message, fault, node("Worker"), last, same, known, NOW)


def test_given_heartbeats_when_replayed_or_reordered_then_only_newer_ones_are_liveness() -> None:
    assert beat(1024, None) == Verdict("accepted", [], is_live=True)
    assert beat(1025, 1024).status == "accepted"
    assert beat(1028, 1024).notes == ["gap of 3"]
    assert beat(1024, 1024, same=True).repeated
    for replayed in (beat(1024, 1024), beat(1000, 1024)):
        assert (replayed.status, replayed.notes, replayed.is_live) == (
            "rejected",
            ["replayed or out of order"],
            False,
        )
    other = BEAT["heartbeat"]["active_intents"]
    review = beat(1030, 1029, active_intents=other)
    assert (review.status, review.is_live) == ("needs_review", True)
    assert beat(1030, 1029, role="Judge").status == "rejected"


def test_given_outcomes_when_they_move_a_reputation_then_it_stays_within_its_bounds() -> None:
    reputation = 0.5
    for _ in range(200):
        reputation = moved(reputation, "completed")
    assert 0.99 < reputation <= 1.0
    for _ in range(30):
        reputation = moved(reputation, "failed")
    assert reputation == 0.0
    assert moved(0.5, "tampered") == pytest.approx(0.3) and moved(0.5, "rejected") == pytest.approx(0.45)
