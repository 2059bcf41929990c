"""What the validator says of a message. Pure: node, keys, stored versions and the time come in.

Reputation lies in [0, 1] and starts at 0.5. A completed run adds 0.05 of what is missing to 1; a failed one
takes 0.05, a rejected announcement 0.05, a tampered one (a known version signed anew with other content)
0.2. Only what the node itself has signed moves it, or a stranger could ruin anybody. Below 0.3 a person
decides, below 0.1 nobody.
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct, field

from ironclaw_contracts.poi.messages import Announcement, Heartbeat
from ironclaw_contracts.poi.receipts import AckStatus
from ironclaw_contracts.poi.signatures import Signature, fault_of, fault_over

REPUTATION_START = 0.5
REQUEST_ID_LIFE = timedelta(hours=24)
"""How long a request id stands for one message of its caller (contract: intent envelope)."""
_REVIEW_BELOW, _REJECT_BELOW = 0.3, 0.1
_FINE_SECONDS, _REVIEW_SECONDS = 60.0, 300.0
Outcome = Literal["completed", "failed", "rejected", "tampered"]
_LOSS: dict[Outcome, float] = {"failed": 0.05, "rejected": 0.05, "tampered": 0.2}


class NodeKey(Struct, frozen=True):
    """One version of a node's key; a retired one verifies only what was signed before its retirement."""

    version: str
    public_key_ref: str
    retired_at: datetime | None = None


class Node(Struct, frozen=True):
    """A registered node; `ours` when it is the garrison's own."""

    node_id: str
    role: str
    reputation: float
    ours: bool = False
    keys: list[NodeKey] = field(default_factory=list[NodeKey])


class Version(Struct, frozen=True):
    """A stored version of an intent, and who announced it."""

    version: int
    hash: str
    status: AckStatus
    node_id: str
    ours: bool = False


class Verdict(Struct, frozen=True):
    """What the ACK says. `outcome` moves the reputation, if any; `repeated` asks for the stored ACK."""

    status: AckStatus
    notes: list[str]
    outcome: Outcome | None = None
    repeated: bool = False
    is_live: bool = False


def judge_announcement(
    message: Announcement, node: Node | None, stored: list[Version], now: datetime
) -> Verdict:
    """Judge an announced intent."""
    fault = _fault_of_sender(message.signature, message.timestamp, node)
    fault = fault or fault_over(message.signature, message.canonical)
    if node is None or fault is not None:
        return _rejected(fault or "the node is not registered")
    if message.request.caller.role != "Planner" or node.role != "Planner":
        return _rejected("only a Planner may announce an intent", "rejected")
    known = next((v for v in stored if v.version == message.version), None)
    if known is not None:
        if known.hash == message.hash:
            return Verdict(known.status, [], repeated=True)
        return _rejected(f"version {message.version} is known with another hash", "tampered")
    link = _fault_of_owner(node, stored) or _fault_of_link(message, stored)
    if link is not None:
        return _rejected(link, "rejected")
    notes: list[str] = []
    if message.envelope_signature is None:
        notes.append("envelope metadata unsigned")
    else:
        fault = _fault_of_key(message.envelope_signature, node, message.timestamp)
        fault = fault or fault_of(message.envelope_signature, message.envelope)
        if fault is not None:
            return _rejected(f"envelope_signature: {fault}")
    return _with_clock_and_standing(message.timestamp, node, notes, now)


def judge_heartbeat(
    message: Heartbeat,
    signature_fault: str | None,
    node: Node | None,
    last_seq: int | None,
    same_as_last: bool,
    intents: dict[str, list[Version]],
    now: datetime,
) -> Verdict:
    """Judge a heartbeat.

    `signature_fault` is what `fault_over` says of its signature: that needs no node, only the key that the
    signature names, and whether that one is the node's is judged here. `last_seq` is the newest of the node's
    key version, `intents` the active ones.
    """
    fault = _fault_of_sender(message.signature, message.timestamp, node) or signature_fault
    if node is None or fault is not None:
        return _rejected(fault or "the node is not registered")
    if message.role != node.role:
        return _rejected(f"the node is registered as {node.role}, not as {message.role}")
    if last_seq is not None:
        if message.seq_no == last_seq and same_as_last:
            return Verdict("accepted", [], repeated=True)
        if message.seq_no <= last_seq:
            return _rejected("replayed or out of order")
    notes: list[str] = []
    if last_seq is not None and message.seq_no > last_seq + 1:
        notes.append(f"gap of {message.seq_no - last_seq - 1}")
    unknown = [
        active.intent_id
        for active in message.active_intents
        if not any(
            (v.version, v.hash) == (active.intent_version, active.intent_hash)
            for v in intents.get(active.intent_id, [])
        )
    ]
    verdict = _with_clock_and_standing(message.timestamp, node, notes, now)
    if unknown and verdict.status == "accepted":
        verdict = Verdict("needs_review", [*verdict.notes, f"unknown active intent {unknown[0]}"])
    # A live node is live whatever a person still has to decide about what it says.
    return Verdict(verdict.status, verdict.notes, is_live=verdict.status != "rejected")


def refuse_reused_request(verdict: Verdict) -> Verdict:
    """Return the verdict on a message whose request id the caller has used for another one."""
    return verdict if verdict.status == "rejected" else _rejected("request_id was used for another message")


def moved(reputation: float, outcome: Outcome) -> float:
    """Return a reputation after an outcome."""
    if outcome == "completed":
        return min(1.0, reputation + 0.05 * (1.0 - reputation))
    return max(0.0, reputation - _LOSS[outcome])


def _fault_of_sender(signature: Signature, at: datetime, node: Node | None) -> str | None:
    return "the node is not registered" if node is None else _fault_of_key(signature, node, at)


def _fault_of_key(signature: Signature, node: Node, at: datetime) -> str | None:
    key = next((key for key in node.keys if key.version == signature.key_version), None)
    if key is None or key.public_key_ref != signature.public_key_ref:
        return f"the node has no key {signature.key_version} like this"
    if key.retired_at is not None and at >= key.retired_at:
        return f"key {key.version} is retired since {key.retired_at.isoformat()}"
    return None


def _fault_of_owner(node: Node, stored: list[Version]) -> str | None:
    """An intent is changed by who announced it; one replica of ours goes on with what another began."""
    if not stored or stored[0].node_id == node.node_id or (stored[0].ours and node.ours):
        return None
    return "the intent is another node's"


def _fault_of_link(message: Announcement, stored: list[Version]) -> str | None:
    previous = message.intent.get("previous_intent_hash")
    newest = max(stored, key=lambda version: version.version, default=None)
    if newest is None:
        if message.version != 1:
            return "the first version of an intent is 1"
        return "version 1 links to nothing" if previous is not None else None
    if message.version != newest.version + 1:
        return f"version {message.version} does not follow version {newest.version}"
    return None if previous == newest.hash else "previous_intent_hash is not that of the version before"


def _with_clock_and_standing(at: datetime, node: Node, notes: list[str], now: datetime) -> Verdict:
    apart = abs((now - at).total_seconds())
    if apart > _REVIEW_SECONDS:
        return _rejected(f"timestamp {apart:.0f} s from the validator's clock")
    if node.reputation < _REJECT_BELOW:
        return _rejected(f"reputation {node.reputation:.2f} is too low")
    review = [f"timestamp {apart:.0f} s from the validator's clock"] if apart > _FINE_SECONDS else []
    if node.reputation < _REVIEW_BELOW:
        review.append(f"reputation {node.reputation:.2f} asks for a person")
    return Verdict("needs_review" if review else "accepted", [*notes, *review])


def _rejected(note: str, outcome: Outcome | None = None) -> Verdict:
    return Verdict("rejected", [note], outcome)
