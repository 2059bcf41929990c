"""The intent of a plan, what its ACK allows, which receipts the relay believes, and a node's files."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_chassis.node.folder import NodeFolder, NodeHeld, node_name
from ironclaw_co.intents import compose_intent, is_announced, may_dispatch, refusal
from ironclaw_co.progress import Dispatch, Fail, next_actions
from ironclaw_contracts.endpoints.duty_officer_relay import RelayedIntent
from ironclaw_contracts.enums import Service
from ironclaw_contracts.payloads import IntentLink
from ironclaw_contracts.plan import Extraction, Plan, Task
from ironclaw_contracts.poi.did import validator_id_of
from ironclaw_contracts.poi.envelopes import Load, Signer, announcement_message, heartbeat_message
from ironclaw_contracts.poi.messages import parse, read_announcement, read_heartbeat
from ironclaw_contracts.poi.receipts import Ack, ack_id_of, receipt
from ironclaw_contracts.poi.signatures import fault_of, intent_hash
from ironclaw_contracts.snapshots import RunView
from ironclaw_duty_officer.relay.receipts import doubt
from tests.unit.ledger.history import START, History

NOW = START + timedelta(seconds=1)
NODE_ID = "7b9e2b8a-5a1f-4c9e-9f64-0c8f2f6b1a01"
SIGNER = Signer(NODE_ID, "Planner", Ed25519PrivateKey.generate(), "v1")
VALIDATOR = Ed25519PrivateKey.generate()
VALIDATOR_ID = validator_id_of(VALIDATOR.public_key().public_bytes_raw())


def plan(tasks: int = 1, version: int = 1, title: str = "t") -> Plan:
    return Plan(
        version=version,
        mission="m",
        elements=[],
        tasks=[Task(order_id=f"order-{n}", type="draft", title=title) for n in range(tasks)],
        extraction=Extraction(order_ids=[], how="h"),
        playbook="draft",
        planner="playbook",
    )


def linked(status: str | None, version: int = 1) -> IntentLink:
    return msgspec.convert(
        {
            "intent_id": "intent",
            "intent_version": 1,
            "intent_hash": "0" * 64,
            "plan_version": version,
            "ack_id": "ack" if status else None,
            "ack_status": status,
            "ack_notes": ["reputation is below 0.1"],
        },
        IntentLink,
    )


def signed(intent: dict[str, Any]) -> bytes:
    message = announcement_message(SIGNER, NODE_ID, NOW, intent=intent, seq_no=1)
    return msgspec.json.encode(message)


def test_given_plans_of_every_size_when_composed_then_the_intent_is_within_the_bounds_and_binds_the_plan() -> (
    None
):
    for made in (plan(), plan(2_000, title="\U0001f600" * 2_000)):
        run = msgspec.structs.replace(History().run(), plan=made, objective="\u00e9\U0001f600" * 50_000)
        intent = compose_intent(run, NODE_ID, None, NOW)
        message = read_announcement(parse(signed(intent)))
        assert message.version == 1 and intent["parameters"]["orders_total"] == len(made.tasks)
        assert fault_of(message.signature, message.intent) is None
    other = msgspec.structs.replace(run, plan=msgspec.structs.replace(made, mission="another"))
    changed = compose_intent(other, NODE_ID, None, NOW)
    assert changed["parameters"]["plan_hash"] != intent["parameters"]["plan_hash"]
    before = RelayedIntent(
        intent_id=intent["intent_id"],
        version=1,
        intent_hash=intent_hash(intent),
        plan_version=1,
        receipt=None,
    )
    second = compose_intent(other, NODE_ID, before, NOW)
    assert (second["intent_id"], second["intent_version"]) == (intent["intent_id"], 2)
    assert second["previous_intent_hash"] == intent_hash(intent)


@pytest.mark.parametrize(
    ("link", "announced", "dispatches", "stops"),
    [
        (None, False, False, False),
        (linked(None), False, False, False),
        (linked("needs_review"), False, False, False),
        (linked("rejected"), True, False, True),
        (linked("accepted", version=2), True, True, False),
        (linked("accepted"), False, False, False),
    ],
)
def test_given_an_intent_when_it_is_required_then_its_ack_alone_lets_the_plan_begin(
    link: IntentLink | None, announced: bool, dispatches: bool, stops: bool
) -> None:
    version = 2 if link is not None and link.ack_status == "accepted" else 1
    history = History()
    run, order = history.run(), history.create("order-0")
    run = msgspec.structs.replace(run, plan=plan(version=version), intent=link, orders_open=1, orders_total=1)
    view = RunView(run=run, orders=[order])
    assert is_announced(run) is announced and may_dispatch(run) is dispatches
    actions = next_actions(view, NOW, 8, intent_required=True)
    assert any(isinstance(a, Dispatch) for a in actions) is dispatches
    assert (refusal(run) is not None) is stops
    if stops:
        ended = RunView(run=msgspec.structs.replace(run, orders_open=0), orders=[])
        (fail,) = next_actions(ended, NOW, 8, intent_required=True)
        assert isinstance(fail, Fail) and "reputation is below 0.1" in fail.reason
    assert any(isinstance(a, Dispatch) for a in next_actions(view, NOW, 8))


def test_given_receipts_when_doubted_then_only_the_validators_answer_to_that_message_is_believed() -> None:
    run = msgspec.structs.replace(History().run(), plan=plan())
    message = read_announcement(parse(signed(compose_intent(run, NODE_ID, None, NOW))))
    beat = heartbeat_message(
        SIGNER,
        NODE_ID,
        NOW,
        seq_no=1,
        status="online",
        uptime_seconds=1.0,
        load=Load(0.1, 0.1, 0),
        active_intents=[],
        metadata={},
    )
    heartbeat = read_heartbeat(parse(msgspec.json.encode(beat)))

    def answered(ack_id: str, key: Ed25519PrivateKey = VALIDATOR) -> Any:
        ack = Ack(ack_id, message.intent_id, NODE_ID, "2026-02-05T12:00:01Z", "accepted", [])
        return receipt(key, VALIDATOR_ID, NODE_ID, ack, NOW)

    own, reviewed = ack_id_of(VALIDATOR_ID, message.intent), ack_id_of(VALIDATOR_ID, message.intent, issue=1)
    for ack_id in (own, reviewed):
        assert doubt(answered(ack_id), message, VALIDATOR_ID) is None
    assert "another message" in cast("str", doubt(answered(own), heartbeat, VALIDATOR_ID))
    assert "does not hold" in cast("str", doubt(answered(own, SIGNER.key), message, VALIDATOR_ID))


def test_given_a_nodes_folder_when_used_lost_or_rotated_then_no_number_is_used_twice(tmp_path: Path) -> None:
    folder = NodeFolder.of(tmp_path, node_name(Service.WORKER, 0), "Worker")
    first = folder.ensure()
    assert [folder.next_number("v1", "seq") for _ in range(3)] == [1, 2, 3]
    assert NodeFolder.of(tmp_path, "worker", "Worker").next_number("v1", "seq") == 4
    files = list(folder.path.glob("v1.*"))
    assert files and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    (folder.path / "v1.seq").unlink()
    second = folder.ensure()
    assert (second.node_id, second.key_version) == (first.node_id, "v2") and second.did != first.did
    staged, path = folder.stage_next()
    assert folder.ensure().key_version == "v2" and folder.stage_next()[0].did == staged.did
    folder.adopt(path)
    assert folder.ensure().did == staged.did and folder.next_number("v3", "seq") == 1
    with folder.held(), pytest.raises(NodeHeld), NodeFolder.of(tmp_path, "worker", "Worker").held():
        pass
    assert node_name(Service.WORKER, 8181) == "worker-8181"
