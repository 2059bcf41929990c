"""Verify a mission receipt offline: `python verify_receipt.py FILE --key PUB`.

This file stands alone: the standard library and the package `cryptography` are all it needs, so that it can
be read, copied and trusted apart from the fleet that wrote the receipt. docs/receipts.md has the format.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

FORMAT = "ironclaw-receipt/1"
FIELDS = {
    "receipt": "format:str run_id:str size:int root:str head_hash:str seqs:list at:str public_key:str"
    " signature:str",
    "event": "seq:int body:str prev_hash:str hash:str",
    "inclusion": "nodes:list",
    "object": "id:str type:str data:str",
    "intent": "intent:str public_key_ref:str signature:str ack:str validator_id:str ack_signature:str",
    "seal": "lines:list sha256:str",
}
ENDS = {"RUN_COMPLETED": "COMPLETE", "RUN_FAILED": "FAILED", "RUN_CANCELLED": "CANCELLED"}
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
HEX = frozenset("0123456789abcdef")
Fields = dict[str, Any]


class Broken(Exception):
    """The receipt does not hold. `line` is its 1-based number (0: the file as a whole), `part` what it is."""

    def __init__(self, line: int, part: str, reason: str) -> None:
        super().__init__(f"line {line}, {part}: {reason}" if line else f"{part}: {reason}")
        self.line, self.part, self.reason = line, part, reason


class Line(NamedTuple):
    """A line that was read: its number, kind and fields."""

    number: int
    kind: str
    fields: Fields

    def broken(self, reason: str) -> NoReturn:
        """Say that this line does not hold."""
        names = {"event": "event {seq}", "object": "git {type} {id}"}
        raise Broken(self.number, names.get(self.kind, self.kind).format(**self.fields), reason)


class Proof(NamedTuple):
    """What a receipt proves. `pinned` is False when no key was given and the receipt's own was believed."""

    run_id: str
    status: str
    public_key: str
    pinned: bool
    at: str
    ledger_events: int
    events: int
    orders: list[Fields]
    intents: list[str]


def verify(raw: bytes, key: str | None = None) -> Proof:
    """Return what a receipt proves under the ledger's public key (hex). Raises `Broken`."""
    lines = read_lines(raw)
    statement = lines[0]
    events = [line for line in lines if line.kind == "event"]
    check_statement(statement, key)
    for event in events:
        check_event(event, statement.fields["run_id"])
    check_slice(statement, events, lines)
    for line in lines:
        if line.kind == "object":
            check_object(line)
    try:
        return prove(statement, events, lines, key is not None)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Broken(0, "the evidence", f"it is not of its form: {type(error).__name__} {error}") from error


def prove(statement: Line, events: Sequence[Line], lines: Sequence[Line], pinned: bool) -> Proof:
    """Return what the run's events and the evidence for them come to."""
    bodies = [json.loads(event.fields["body"]) for event in events]
    objects = {line.fields["id"]: line for line in lines if line.kind == "object"}
    at = {body["seq"]: event for body, event in zip(bodies, events, strict=True)}
    orders = [
        check_order(order_id, [b for b in bodies if b["order_id"] == order_id], at, objects)
        for order_id in dict.fromkeys(body["order_id"] for body in bodies if body["order_id"])
    ]
    said = statement.fields
    intents = [check_intent(line, said["run_id"]) for line in lines if line.kind == "intent"]
    status = next((ENDS[body["type"]] for body in reversed(bodies) if body["type"] in ENDS), "OPEN")
    about = said["run_id"], status, said["public_key"], pinned, said["at"], said["size"]
    return Proof(*about, len(events), orders, intents)


def read_lines(raw: bytes) -> list[Line]:
    """Return the lines before the seal, each with the digest that the seal has of it."""
    if not raw.endswith(b"\n"):
        raise Broken(raw.count(b"\n") + 1, "the end", "the last line does not end: something was cut off")
    texts = raw[:-1].split(b"\n")
    seal = parse_line(len(texts), texts[-1])
    if seal.kind != "seal":
        seal.broken("a receipt ends with its seal: something was cut off or added")
    digests = seal.fields["lines"]
    if hashlib.sha256("\n".join(map(str, digests)).encode()).hexdigest() != seal.fields["sha256"]:
        seal.broken("its own digests were altered")
    lines: list[Line] = []
    for number, text in enumerate(texts[:-1], start=1):
        line = parse_line(number, text)
        if number > len(digests):
            line.broken("it is not under the seal: it was added")
        if hashlib.sha256(text).hexdigest() != digests[number - 1]:
            line.broken("its bytes were altered")
        lines.append(line)
    if len(digests) != len(lines):
        seal.broken(f"it has {len(digests)} lines and the file {len(lines)}: something was cut out")
    kinds = [line.kind for line in lines]
    once = kinds[:1] == ["receipt"] and kinds.count("receipt") == kinds.count("inclusion") == 1
    if not once or kinds != sorted(kinds, key=list(FIELDS).index):
        raise Broken(0, "the lines", "they are not a statement, its events, one inclusion, and evidence")
    return lines


def parse_line(number: int, text: bytes) -> Line:
    """Return a line's fields; they must be those of its kind, no more, no less, each of its type."""
    try:
        fields = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Broken(number, "a line", f"it is not JSON any more: {error}") from error
    if not isinstance(fields, dict) or not isinstance(kind := fields.pop("kind", None), str):
        raise Broken(number, "a line", "it is no part of a receipt")
    found = " ".join(sorted(f"{name}:{type(value).__name__}" for name, value in fields.items()))
    if kind not in FIELDS or found != " ".join(sorted(FIELDS[kind].split())):
        raise Broken(number, "a line", f"it is no part of a receipt: kind {kind!r} with {found}")
    return Line(number, kind, fields)


def check_statement(line: Line, key: str | None) -> None:
    """Check that the ledger signed the statement."""
    said = line.fields
    if said["format"] != FORMAT:
        line.broken(f"the format is {said['format']!r}, this program reads {FORMAT!r}")
    if key is not None and said["public_key"] != key.lower():
        line.broken(f"it is signed by {said['public_key']}, not by {key}")
    listed = ",".join(str(seq) for seq in said["seqs"])
    names = ("run_id", "size", "root", "head_hash")
    message = "\n".join(["ironclaw-receipt", *(str(said[name]) for name in names), listed, said["at"], ""])
    if not signed(said["public_key"], said["signature"], message.encode()):
        line.broken("the ledger's signature does not hold")


def check_event(line: Line, run_id: str) -> None:
    """Check that an event's hash follows from its bytes and the hash before, and that it is of the run."""
    said = line.fields
    try:
        body = json.loads(said["body"])
        linked = hashlib.sha256(bytes.fromhex(said["prev_hash"]) + said["body"].encode()).hexdigest()
    except ValueError as error:
        line.broken(f"it does not parse: {error}")
    if linked != said["hash"]:
        line.broken("its hash does not follow from its bytes and the hash before it")
    if body.get("seq") != said["seq"] or body.get("run_id") != run_id:
        line.broken(f"its bytes are event {body.get('seq')} of run {body.get('run_id')}")


def check_slice(statement: Line, events: Sequence[Line], lines: Sequence[Line]) -> None:
    """Check that these are the run's events, all of them, and leaves of the tree that was signed."""
    seqs = [event.fields["seq"] for event in events]
    if seqs != statement.fields["seqs"] or seqs != sorted(set(seqs)):
        statement.broken("the events in the receipt are not those that the ledger lists for the run")
    for before, event in pairwise(events):
        adjacent = event.fields["seq"] == before.fields["seq"] + 1
        if adjacent and event.fields["prev_hash"] != before.fields["hash"]:
            event.broken("it does not follow the event before it")
    inclusion = next(line for line in lines if line.kind == "inclusion")
    try:
        leaves = {event.fields["seq"] - 1: bytes.fromhex(event.fields["hash"]) for event in events}
        nodes = [bytes.fromhex(node) for node in inclusion.fields["nodes"]]
        root = tree_root(statement.fields["size"], leaves, nodes)
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        inclusion.broken(f"it is no proof: {error}")
    if nodes:
        inclusion.broken("it has more nodes than the proof needs")
    if root.hex() != statement.fields["root"]:
        inclusion.broken("the events are not in the tree that the ledger signed")


def tree_root(size: int, leaves: dict[int, bytes], nodes: list[bytes]) -> bytes:
    """Return the root (RFC 6962) from some leaves and the roots of subtrees without any, used up in order."""
    wanted = sorted(leaves)
    if not wanted or wanted[-1] >= size:
        raise ValueError(f"events beyond the tree of {size}")

    def walk(low: int, high: int, first: int, last: int) -> bytes:
        if first == last:
            return nodes.pop(0)
        if high - low == 1:
            return hashlib.sha256(b"\x00" + leaves[low]).digest()
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        between = next((i for i in range(first, last) if wanted[i] >= middle), last)
        left = walk(low, middle, first, between)
        return hashlib.sha256(b"\x01" + left + walk(middle, high, between, last)).digest()

    return walk(0, size, 0, len(wanted))


def check_object(line: Line) -> None:
    """Check that a git object has its id."""
    try:
        data = base64.b64decode(line.fields["data"], validate=True)
    except ValueError:
        line.broken("its data is not base64")
    header = f"{line.fields['type']} {len(data)}\0".encode()
    if hashlib.sha1(header + data, usedforsecurity=False).hexdigest() != line.fields["id"]:
        line.broken("its id does not follow from its bytes")


def check_order(
    order_id: str, bodies: Sequence[Fields], at: dict[int, Line], objects: dict[str, Line]
) -> Fields:
    """Check an order's report, gates and merge against each other and against git; return what was proven."""
    merged, done = last(bodies, "INTEGRATED"), last(bodies, "ORDER_COMPLETED", "ORDER_ADOPTED")
    if merged is None or done is None:
        newest = last(bodies, "ORDER_FAILED", "ORDER_CANCELLED", "ORDER_BLOCKED")
        return {"order_id": order_id, "outcome": newest["type"] if newest else "OPEN"}
    event, claim = at[merged["seq"]], done["payload"]
    commit, merge = claim["commit_sha"], merged["payload"]["commit_sha"]
    passed = last(bodies, "INTEGRATION_PASSED")
    if passed is None or passed["seq"] > merged["seq"] or passed["payload"]["merge_commit"] != merge:
        event.broken("it was merged, and no gates passed for that merge commit")
    gates = passed["payload"]["gates"]
    for gate in gates:
        if gate["verdict"] != "passed":
            at[passed["seq"]].broken(f"gate {gate['gate']}: {gate['verdict']}")
    header = find(objects, merge, "commit", event).split(b"\n\n", 1)[0].splitlines()
    parents = [line[7:].decode() for line in header if line.startswith(b"parent ")]
    if parents[:1] != [passed["payload"]["onto"]] or commit not in parents:
        objects[merge].broken("its parents are not the mainline that was gated and the order's commit")
    if done["type"] == "ORDER_ADOPTED":
        artifacts, report = claim["artifacts"], claim["report"]
    else:
        mine = [body for body in bodies if body["payload"].get("attempt", 1) == claim.get("attempt", 1)]
        artifacts = [body["payload"]["artifact"] for body in mine if body["type"] == "ARTIFACT_WRITTEN"]
        report = (last(mine, "AAR_WRITTEN") or {"payload": {"sha256": None}})["payload"]
    for path, where in ((a["path"], where) for a in artifacts for where in (commit, merge)):
        if entry_of(objects, where, path, event) is None:
            event.broken(f"commit {where} has no {path}")
    digests = {name: digest_of(objects, commit, name, event) for name in ("aar.json", "transcript.jsonl")}
    if digests["aar.json"] is None or digests["aar.json"] != report["sha256"]:
        event.broken("the report aar.json in the commit is not the one that was written down")
    return {
        "order_id": order_id,
        "outcome": "INTEGRATED",
        "commit": commit,
        "merge_commit": merge,
        "gates": [f"{gate['gate']} {gate['verdict']}" for gate in gates],
        "artifacts": [f"{a['path']} {entry_of(objects, commit, a['path'], event)}" for a in artifacts],
        "aar_sha256": digests["aar.json"],
        "transcript_sha256": digests["transcript.jsonl"],
    }


def last(bodies: Sequence[Fields], *types: str) -> Fields | None:
    """Return the newest event of these types."""
    return next((body for body in reversed(bodies) if body["type"] in types), None)


def find(objects: dict[str, Line], name: str, kind: str, event: Line) -> bytes:
    """Return a git object's bytes."""
    line = objects.get(name)
    if line is None or line.fields["type"] != kind:
        event.broken(f"git {kind} {name} is not in the receipt")
    return base64.b64decode(line.fields["data"])


def entry_of(objects: dict[str, Line], commit: str, path: str, event: Line) -> str | None:
    """Return the id of the file at a path of a commit, going down its trees; None when there is none."""
    name = find(objects, commit, "commit", event).split(b"\n", 1)[0].removeprefix(b"tree ").decode()
    for step in path.encode().split(b"/"):
        found = tree_entries(find(objects, name, "tree", event)).get(step)
        if found is None:
            return None
        name = found
    return name


def digest_of(objects: dict[str, Line], commit: str, path: str, event: Line) -> str | None:
    """Return the SHA-256 of a file of a commit; None when there is none."""
    name = entry_of(objects, commit, path, event)
    return hashlib.sha256(find(objects, name, "blob", event)).hexdigest() if name is not None else None


def tree_entries(data: bytes) -> dict[bytes, str]:
    """Return a tree's names with the ids of what they name."""
    return {name: oid.hex() for name, oid in re.findall(rb"\d+ ([^\0]+)\0(.{20})", data, re.DOTALL)}


def check_intent(line: Line, run_id: str) -> str:
    """Check an intent's and its ACK's signatures; return one line about it."""
    said = line.fields
    try:
        intent, ack = json.loads(said["intent"]), json.loads(said["ack"])
    except ValueError as error:
        line.broken(f"it does not parse: {error}")
    if intent.get("campaign_ref") != run_id or ack.get("intent_id") != intent.get("intent_id"):
        line.broken(f"the intent is of {intent.get('campaign_ref')}, or the ACK of another intent")
    if not signed_base64(said["validator_id"], "did:oc:z", said["ack_signature"], said["ack"]):
        line.broken("the validator's signature on the ACK does not hold")
    if ack.get("status") != "rejected" and not signed_base64(
        said["public_key_ref"], "did:key:z", said["signature"], said["intent"]
    ):
        line.broken("the node's signature on the intent does not hold")
    digest = hashlib.sha256(said["intent"].encode()).hexdigest()
    return f"{intent['intent_id']} {intent.get('action')} {ack.get('status')} sha256 {digest}"


def signed_base64(did: str, prefix: str, blob: str, text: str) -> bool:
    """Tell whether the key in a DID signed a text."""
    try:
        raw = base64.b64decode(blob, validate=True)
        number = 0
        for character in did.removeprefix(prefix):
            number = number * 58 + BASE58.index(character)
        key = number.to_bytes((number.bit_length() + 7) // 8, "big")
    except ValueError:
        return False
    ours = did.startswith(prefix) and key.startswith(b"\xed\x01")
    return ours and signed(key[2:].hex(), raw.hex(), text.encode())


def signed(public_key: str, signature: str, message: bytes) -> bool:
    """Tell whether a key (hex) signed a message."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_key(given: str) -> str:
    """Return a public key in hex, given so or as a file in PEM. Raises ValueError."""
    if len(given) == 64 and set(given.lower()) <= HEX:
        return given.lower()
    try:
        key = load_pem_public_key(Path(given).read_bytes())
    except OSError as error:
        raise ValueError(f"--key {given}: neither hex nor a file ({error.strerror})") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"--key {given}: not an Ed25519 key")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def told(proof: Proof) -> str:
    """Return what was proven, as text."""
    trusted = "the key given" if proof.pinned else "ITS OWN KEY (give --key to know whose it is)"
    lines = [
        f"run {proof.run_id}: {proof.status}",
        f"  {proof.events} events, all of the run's among the ledger's {proof.ledger_events} at {proof.at}",
        f"  signed by {proof.public_key}: {trusted}",
    ]
    for order in proof.orders:
        lines.append(f"order {order['order_id']}: {order['outcome']}")
        lines += [f"  {name} {order[name]}" for name in ("commit", "merge_commit") if name in order]
        lines += [f"  {n[:-1]} {value}" for n in ("gates", "artifacts") for value in order.get(n, ())]
        lines += [f"  {n} {order[n]}" for n in ("aar_sha256", "transcript_sha256") if order.get(n)]
    return "\n".join([*lines, *(f"intent {intent}" for intent in proof.intents), "the receipt holds", ""])


def main() -> int:
    """Verify the receipt that the command line names."""
    parser = argparse.ArgumentParser(description="Verify a mission receipt offline.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", help="the ledger's public key: hex, or a file in PEM")
    arguments = parser.parse_args()
    try:
        key = read_key(arguments.key) if arguments.key else None
        sys.stdout.write(told(verify(arguments.file.read_bytes(), key)))
    except Broken as broken:
        sys.stderr.write(f"the receipt does NOT hold: {broken}\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
