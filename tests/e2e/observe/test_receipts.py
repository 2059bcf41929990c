"""A mission receipt proves a run offline, and says what broke when any of its bytes changes."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ironclaw_contracts import merkle
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger, openclawdbot, vault, vault_proof
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Forbidden, NotFound
from ironclaw_contracts.ids import new_id
from ironclaw_fleet import verify_receipt
from ironclaw_fleet.verify_receipt import Broken, read_key, tree_root, verify
from tests.integration.poi.test_validator import Node
from tests.support.fleet import FleetUnderTest
from tests.support.git import git

FLIPS = None if os.environ.get("IRONCLAW_TRUST_FULL") else 1_500
"""How many bytes are flipped; every single one at the full count."""


@pytest.fixture(scope="module")
def run_id(fleet: FleetUnderTest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of three orders, announced by a node, that has ended."""
    import asyncio

    async def make() -> str:
        chosen = new_id()
        async with fleet.client() as client, aiohttp.ClientSession() as session:
            node = Node(fleet, session)
            await client.call(
                api.REGISTER_NODE,
                Registration(node_id=node.node_id, role="Planner", public_key_ref=node.did),
            )
            receipt = await node.announce(node.announcement(node.intent(campaign_ref=chosen)))
            assert receipt.ack.status == "accepted", receipt
            folder = tmp_path_factory.mktemp("papers")
            (folder / "docs").mkdir(parents=True)
            for name in ("a", "b"):
                (folder / "docs" / f"{name}.md").write_text(
                    f"# {name}\n\nThe river {name} rises in spring.\n"
                )
            await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="papers", import_path=str(folder)))
            chat = api.ChatRequest(
                message="Summarize", playbook="summarize", theater_hint="papers", run_id=chosen
            )
            answer = await client.call(api.CHAT, chat)
            assert answer.status == "COMPLETE", answer
        return chosen

    return asyncio.run(make())


@pytest.fixture(scope="module")
def receipt(fleet: FleetUnderTest, run_id: str) -> bytes:
    target = fleet.state.path / "run.receipt.jsonl"
    assert "verify-receipt" in fleet.cli("receipt", run_id, "--output", str(target))
    return target.read_bytes()


@pytest.fixture(scope="module")
def key(fleet: FleetUnderTest) -> str:
    return read_key(str(fleet.state.keys / "ledger.pub"))


def resealed(lines: list[bytes]) -> bytes:
    """A receipt with other lines under a seal that fits them, as a forger would write it."""
    digests = [hashlib.sha256(line).hexdigest() for line in lines]
    seal = {
        "kind": "seal",
        "lines": digests,
        "sha256": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    }
    return b"\n".join([*lines, json.dumps(seal, separators=(",", ":")).encode(), b""])


def test_given_a_receipt_when_verified_then_it_says_what_was_done(
    fleet: FleetUnderTest, receipt: bytes, run_id: str, key: str, tmp_path: Path
) -> None:
    proof = verify(receipt, key)
    assert (proof.run_id, proof.status, proof.pinned) == (run_id, "COMPLETE", True)
    assert proof.events == len(fleet.cli_json("events", "--run", run_id, "--limit", "1000")["events"])
    view = fleet.cli_json("run", run_id)
    assert {o["order_id"]: (o["outcome"], o["merge_commit"]) for o in proof.orders} == {
        o["order_id"]: ("INTEGRATED", o["merge_commit"]) for o in view["orders"]
    }
    assert len(proof.orders) == 3
    repository = fleet.state.vault / "theaters" / "papers" / "repo"
    for order in proof.orders:
        assert [gate.split()[1] for gate in order["gates"]] == ["passed"] * len(order["gates"]) != []
        path, blob = order["artifacts"][0].rsplit(" ", 1)
        assert git(repository, "rev-parse", f"{order['merge_commit']}:{path}") == blob
        aar = subprocess.run(
            ["git", "-C", str(repository), "show", f"{order['commit']}:aar.json"], capture_output=True
        ).stdout
        assert hashlib.sha256(aar).hexdigest() == order["aar_sha256"]
    [intent] = proof.intents
    assert "run.plan accepted" in intent
    target = tmp_path / "r.jsonl"
    target.write_bytes(receipt)
    said = fleet.cli("verify-receipt", str(target), "--key", str(fleet.state.keys / "ledger.pub"))
    assert "the receipt holds" in said and "gate" in said
    assert fleet.cli_json("verify-receipt", str(target), "--key", key)["run_id"] == run_id
    assert "ITS OWN KEY" in fleet.cli("verify-receipt", str(target))
    assert "signed by" in fleet.cli("verify-receipt", str(target), "--key", "0" * 64, code=1)
    assert "neither hex nor a file" in fleet.cli("verify-receipt", str(target), "--key", "none", code=2)


def test_given_the_script_alone_when_run_then_it_needs_nothing_of_ours(
    receipt: bytes, key: str, tmp_path: Path
) -> None:
    script = tmp_path / "verify_receipt.py"
    script.write_bytes(Path(verify_receipt.__file__).read_bytes())
    (tmp_path / "r.jsonl").write_bytes(receipt)
    program = (
        "import runpy, sys\nsys.argv = ['v', 'r.jsonl', '--key', sys.argv[1]]\n"
        "try: runpy.run_path('verify_receipt.py', run_name='__main__')\n"
        "finally:\n"
        "    outside = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)\n"
        "    print(sorted(outside))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({_packages()!r})\n{program}", key],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "the receipt holds" in done.stdout, done.stderr
    outside = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))
    assert "cryptography" in outside
    assert outside <= {"__main__", "cryptography", "_cffi_backend", "_openssl"}


def _packages() -> str:
    import cryptography

    return str(Path(cryptography.__file__).parents[1])


@pytest.mark.trust
def test_given_any_flipped_bit_when_verified_then_the_broken_line_is_named(receipt: bytes, key: str) -> None:
    chance = random.Random(9)
    every = range(len(receipt))
    positions = every if FLIPS is None else sorted(chance.sample(every, min(FLIPS, len(receipt))))
    starts = [0]
    for line in receipt.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    for position in positions:
        flipped = bytearray(receipt)
        flipped[position] ^= 1 << chance.randrange(8)
        with pytest.raises(Broken) as broken:
            verify(bytes(flipped), key)
        line = next(number for number, start in enumerate(starts) if start > position)
        if flipped[position] == 0x0A or receipt[position] == 0x0A:
            continue  # lines were joined or cut in two: the one that does not parse is named
        assert broken.value.line == line, (position, line, broken.value)


@pytest.mark.parametrize("kind", ["receipt", "event", "inclusion", "object", "intent"])
def test_given_a_line_that_a_forger_changed_and_sealed_when_verified_then_it_still_does_not_hold(
    receipt: bytes, key: str, kind: str
) -> None:
    lines = receipt.splitlines()[:-1]
    tried = 0
    for index, line in enumerate(lines):
        fields = json.loads(line)
        if fields["kind"] != kind:
            continue
        for forged in forgeries(fields):
            tried += 1
            encoded = json.dumps(forged, separators=(",", ":"), ensure_ascii=False).encode()
            with pytest.raises(Broken):
                verify(resealed([*lines[:index], encoded, *lines[index + 1 :]]), key)
    assert tried


def forgeries(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The same line with one of its fields changed in a way that keeps its form."""

    def other(value: Any) -> Any:
        match value:
            case bool() | None:
                return not value
            case int():
                return value + 1
            case str() if value and set(value) <= set("0123456789abcdef"):
                return ("0" if value[0] != "0" else "1") + value[1:]
            case str():
                middle = len(value) // 2
                return (
                    value[:middle] + ("A" if value[middle : middle + 1] != "A" else "B") + value[middle + 1 :]
                )
            case list():
                return [*value[:-1], other(value[-1])] if value else [1]
            case _:
                return value

    return [fields | {name: other(value)} for name, value in fields.items() if name != "kind"]


def test_given_a_line_removed_or_doubled_when_sealed_anew_then_it_does_not_hold(
    receipt: bytes, key: str
) -> None:
    lines = receipt.splitlines()[:-1]
    for index, line in enumerate(lines):
        kind = json.loads(line)["kind"]
        if kind == "intent":
            continue  # who leaves an intent out proves less, and nothing false
        with pytest.raises(Broken):
            verify(resealed([*lines[:index], *lines[index + 1 :]]), key)
        if kind in {"receipt", "event", "inclusion"}:
            with pytest.raises(Broken):
                verify(resealed([*lines[: index + 1], line, *lines[index + 1 :]]), key)


def test_given_another_ledgers_key_when_a_forger_signs_all_anew_then_the_pinned_key_tells(
    receipt: bytes, key: str
) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ironclaw_contracts.receipts import statement_message

    lines = receipt.splitlines()[:-1]
    said = json.loads(lines[0])
    forger = Ed25519PrivateKey.generate()
    names = ("run_id", "size", "root", "head_hash", "seqs", "at")
    said["public_key"] = forger.public_key().public_bytes_raw().hex()
    said["signature"] = forger.sign(statement_message(*(said[name] for name in names))).hex()
    forged = resealed([json.dumps(said).encode(), *lines[1:]])
    assert verify(forged).pinned is False
    with pytest.raises(Broken, match="signed by"):
        verify(forged, key)


def test_given_a_cut_receipt_when_verified_then_something_is_missing(receipt: bytes, key: str) -> None:
    for length in (0, 1, 100, len(receipt) // 2, len(receipt) - 1):
        with pytest.raises(Broken):
            verify(receipt[:length], key)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 100])
def test_given_trees_of_any_size_when_proven_then_the_verifier_finds_the_same_root(size: int) -> None:
    chance = random.Random(size)
    leaves = [chance.randbytes(32) for _ in range(size)]
    for _ in range(30):
        wanted = set(chance.sample(range(size), chance.randint(1, size)))
        root, nodes = merkle.prove(leaves, wanted)
        left = list(nodes)
        assert tree_root(size, {i: leaves[i] for i in wanted}, left) == root and left == []


def test_given_rfc_6962s_tree_when_hashed_then_the_roots_are_its_own() -> None:
    """The vectors of certificate-transparency-go's tests: the roots over the first 1 to 8 of these leaves."""
    leaves = [
        bytes.fromhex(text)
        for text in (
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        )
    ]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert merkle.prove(leaves[:size], {0})[0].hex() == root


async def test_given_the_parts_when_asked_for_one_by_one_then_only_the_gateway_gets_them(
    fleet: FleetUnderTest, run_id: str
) -> None:
    async with fleet.as_service(Service.API_GATEWAY) as gateway:
        found = await gateway.call(ledger.READ_SLICE, run_id=run_id)
        assert [event.seq for event in found.events] == found.statement.seqs
        merge = (await gateway.call(ledger.GET_RUN, run_id=run_id)).orders[0].merge_commit
        assert merge is not None
        wanted = vault_proof.CommitPaths(merge, ["docs/a.md", "none/at/all"], ["docs/b.md"])
        answer = await gateway.call(
            vault.READ_OBJECTS, vault_proof.ObjectsRequest([wanted]), theater_id="papers"
        )
        assert sorted(kept.type for kept in answer.objects) == ["blob", "commit", "tree", "tree"]
        assert next(k.data for k in answer.objects if k.type == "blob").startswith(b"# b")
        with pytest.raises(NotFound):
            missing = vault_proof.ObjectsRequest([vault_proof.CommitPaths("0" * 40)])
            await gateway.call(vault.READ_OBJECTS, missing, theater_id="papers")
        told = await gateway.call(openclawdbot.LIST_CAMPAIGN, campaign_id=run_id)
        assert len(told.messages) == 1
        with pytest.raises(NotFound):
            await gateway.call(ledger.READ_SLICE, run_id="none")
    async with fleet.as_service(Service.WORKER) as worker:
        with pytest.raises(Forbidden):
            await worker.call(ledger.READ_SLICE, run_id=run_id)
    async with fleet.client() as client:
        content = await client.call(api.GET_RECEIPT, run_id=run_id)
        assert verify(content).run_id == run_id
        with pytest.raises(NotFound):
            await client.call(api.GET_RECEIPT, run_id="none")
