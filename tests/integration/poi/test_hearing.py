"""Heartbeats judged in groups, and what happens to their nodes between the reading and the writing."""

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_chassis.database import close_pool, open_pool
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.envelopes import Load, Signer, heartbeat_message
from ironclaw_contracts.poi.receipts import Receipt, fault_of_receipt
from ironclaw_openclawdbot.proof.beats import Beat, BeatState
from ironclaw_openclawdbot.proof.hearing import Hearing
from ironclaw_openclawdbot.proof.store import BeatStore, ProofStore
from ironclaw_openclawdbot.proof.validator import Validator
from tests.support.databases import new_database

Answer = TypeVar("Answer")
Happening = Callable[[Validator, threading.Event], Awaitable[object]]
"""What another replica does. The group is written once it has ended, or has set the event."""
KEY = Ed25519PrivateKey.generate()


class Interrupted(BeatStore):
    """Lets something happen at another replica once a group was judged, before what that changed is written."""

    def __init__(self, pool: asyncpg.Pool, url: str, happening: Happening) -> None:
        super().__init__(pool)
        self._url, self._happening = url, happening
        self.judged_times = 0

    async def judged(
        self, beats: list[Beat], since: datetime, judge: Callable[[BeatState], list[Answer]]
    ) -> list[Answer]:
        go_on = threading.Event()

        async def happen() -> None:
            async with replica(self._url) as other:
                await self._happening(other, go_on)
            go_on.set()

        def judge_and_let_happen(state: BeatState) -> list[Answer]:
            answers = judge(state)
            self.judged_times += 1
            if not go_on.is_set():
                thread.submit(asyncio.run, happen())
                assert go_on.wait(30)
            return answers

        with ThreadPoolExecutor(1) as thread:
            return await super().judged(beats, since, judge_and_let_happen)


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Validator]:
    """Run a validator with a pool of its own, under the same key."""
    pool = await open_pool(url, size_max=2)
    try:
        validator = Validator(KEY, ProofStore(pool))
        async with validator.running():
            yield validator
    finally:
        await close_pool(pool)


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    async with new_database(postgres_url, Service.OPENCLAWDBOT) as found:
        yield found


def signer() -> Signer:
    return Signer(str(uuid.uuid4()), "Worker", Ed25519PrivateKey.generate(), "v1")


def beat(by: Signer, seq_no: int, *, ahead_seconds: float = 0, **metadata: Any) -> bytes:
    now = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    message = heartbeat_message(
        by,
        str(uuid.uuid4()),
        now,
        seq_no=seq_no,
        status="online",
        uptime_seconds=1.0,
        load=Load(0.1, 0.2, 3),
        active_intents=[],
        metadata=metadata,
    )
    return json.dumps(message).encode()


async def register(validator: Validator, *signers: Signer) -> None:
    for node in signers:
        await validator.register(
            Registration(
                node_id=node.node_id, role="Worker", public_key_ref=node.did, key_version=node.key_version
            )
        )


async def heard_while(url: str, raw: bytes, happening: Happening) -> tuple[Receipt, int]:
    """Answer a heartbeat while something happens; return the receipt, and how often it was judged."""
    async with replica(url) as validator:
        pool = await open_pool(url, size_max=2)
        try:
            store = Interrupted(pool, url, happening)
            hearing = Hearing(KEY, validator.validator_id, store)
            async with hearing.running(), asyncio.timeout(60):
                made = await hearing.hear(raw)
            assert fault_of_receipt(made, validator.validator_id) is None
            return made, store.judged_times
        finally:
            await close_pool(pool)


async def stored(url: str, node: Signer) -> tuple[list[tuple[int, str]], list[str]]:
    """Return a node's newest heartbeats and the statuses of its audited messages."""
    connection = await asyncpg.connect(url)
    try:
        beats = await connection.fetch(
            "select seq_no, ack_id from heartbeats where node_id = $1", node.node_id
        )
        audit = await connection.fetch(
            "select status from audit where node_id = $1 order by id", node.node_id
        )
    finally:
        await connection.close()
    return [(row["seq_no"], row["ack_id"]) for row in beats], [row["status"] for row in audit]


async def ruin(url: str, node: Signer) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("update nodes set reputation = 0.05 where node_id = $1", node.node_id)
    finally:
        await connection.close()


@pytest.mark.parametrize("seq_no", [1, 2], ids=["the first of its key", "a later one"])
@pytest.mark.parametrize("cause", ["its key is retired", "its reputation falls"])
async def test_given_a_node_that_falls_from_grace_when_its_heartbeat_is_judged_meanwhile_then_it_is_refused(
    url: str, cause: str, seq_no: int
) -> None:
    node = signer()
    async with replica(url) as validator:
        await register(validator, node)
        if seq_no == 2:
            assert (await validator.heartbeat(beat(node, 1))).ack.status == "accepted"

    async def fall(other: Validator, _: threading.Event) -> None:
        await (other.retire(node.node_id, "v1") if "key" in cause else ruin(url, node))

    made, times = await heard_while(url, beat(node, seq_no, ahead_seconds=20), fall)
    assert made.ack.status == "rejected" and times > 1
    assert ("retired" if "key" in cause else "reputation") in made.ack.validation_notes[0]
    beats, audit = await stored(url, node)
    assert [found for found, _ in beats] == ([1] if seq_no == 2 else [])
    assert audit == (["accepted"] if seq_no == 2 else []) + ["rejected"]


@pytest.mark.parametrize("before", [None, 4], ids=["the first of its key", "a later one"])
@pytest.mark.parametrize(
    ("rival", "mine", "notes"),
    [(6, 8, ["gap of 1"]), (6, 6, ["replayed or out of order"]), (7, 6, ["replayed or out of order"])],
)
async def test_given_two_replicas_when_each_has_a_heartbeat_of_one_node_then_the_second_is_judged_after_the_first(
    url: str, before: int | None, rival: int, mine: int, notes: list[str]
) -> None:
    node = signer()
    async with replica(url) as validator:
        await register(validator, node)
        if before is not None:
            await validator.heartbeat(beat(node, before))

    async def hear_rival(other: Validator, _: threading.Event) -> None:
        assert (await other.heartbeat(beat(node, rival, of="the rival"))).ack.status == "accepted"

    made, times = await heard_while(url, beat(node, mine), hear_rival)
    assert made.ack.validation_notes == notes and times == 2
    assert [found for found, _ in (await stored(url, node))[0]] == [max(rival, mine)]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ("update node_keys set retired_at = now() where node_id = $1", "is retired"),
        ("update nodes set reputation = 0.05 where node_id = $1", "is too low"),
        ("update heartbeats set seq_no = 9 where node_id = $1", "replayed"),
    ],
)
async def test_given_a_change_that_is_not_committed_when_a_group_is_written_then_it_waits_and_is_judged_again(
    url: str, change: str, note: str
) -> None:
    node = signer()
    async with replica(url) as validator:
        await register(validator, node)
        await validator.heartbeat(beat(node, 1))

    async def change_slowly(_: Validator, go_on: threading.Event) -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction(), asyncio.timeout(20):
                await connection.execute(change, node.node_id)
                go_on.set()
                while not await connection.fetchval(
                    "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
                ):
                    await asyncio.sleep(0.01)
        finally:
            await connection.close()

    made, times = await heard_while(url, beat(node, 2, ahead_seconds=20), change_slowly)
    assert made.ack.status == "rejected" and note in made.ack.validation_notes[0] and times > 1


async def test_given_the_same_message_at_two_replicas_when_accepted_or_refused_then_the_ack_is_one(
    url: str,
) -> None:
    node, stranger = signer(), signer()
    async with replica(url) as validator:
        await register(validator, node)
    for raw, status in ((beat(node, 1), "accepted"), (beat(stranger, 1), "rejected")):
        answers: list[Receipt] = []

        async def hear(
            other: Validator, _: threading.Event, raw: bytes = raw, answers: list[Receipt] = answers
        ) -> None:
            answers.append(await other.heartbeat(raw))

        made, _ = await heard_while(url, raw, hear)
        assert made == answers[0] and made.ack.status == status
    assert (await stored(url, node))[1] == ["accepted"]
    assert (await stored(url, stranger))[1] == ["rejected"]


async def test_given_a_retired_key_when_it_signed_before_that_then_its_heartbeats_are_still_accepted(
    url: str,
) -> None:
    node = signer()
    async with replica(url) as validator:
        await register(validator, node)
        connection = await asyncpg.connect(url)
        try:  # a value that is written out with all its digits
            await connection.execute("update nodes set reputation = 1 / 3.0::float8 + 0.1")
        finally:
            await connection.close()
        await validator.retire(node.node_id, "v1")
        made = [await validator.heartbeat(beat(node, n, ahead_seconds=-20)) for n in (1, 2)]
        assert [receipt.ack.status for receipt in made] == ["accepted", "accepted"]
        late = await validator.heartbeat(beat(node, 3, ahead_seconds=20))
    assert late.ack.status == "rejected" and "retired" in late.ack.validation_notes[0]


async def test_given_good_and_bad_heartbeats_in_one_group_when_judged_then_each_is_answered_as_if_alone(
    url: str,
) -> None:
    nodes = [signer() for _ in range(4)]
    stranger, thief = signer(), Signer(nodes[0].node_id, "Worker", Ed25519PrivateKey.generate(), "v1")
    forged = json.loads(beat(nodes[1], 1))
    forged["heartbeat"]["status"] = "busy"
    twice, reused = beat(nodes[3], 2), json.loads(beat(nodes[3], 3))
    reused["mcp_request"]["request_id"] = json.loads(twice)["mcp_request"]["request_id"]
    messages = [
        beat(nodes[0], 1),
        json.dumps(forged).encode(),
        beat(nodes[1], 1),
        beat(stranger, 1),
        beat(thief, 2),
        beat(nodes[2], 7),
        beat(nodes[2], 7, other=True),
        beat(nodes[2], 9),
        twice,
        twice,
        json.dumps(reused).encode(),
        json.dumps(forged).encode(),
    ]
    async with replica(url) as validator:
        await register(validator, *nodes)
        made = await asyncio.gather(*(validator.heartbeat(raw) for raw in messages))
        again = await asyncio.gather(*(validator.heartbeat(messages[n]) for n in (9, 1, 3)))
    assert [(m.ack.status, m.ack.validation_notes) for m in made] == [
        ("accepted", []),
        ("rejected", ["the signature does not hold"]),
        ("accepted", []),
        ("rejected", ["the node is not registered"]),
        ("rejected", ["the node has no key v1 like this"]),
        ("accepted", []),
        ("rejected", ["replayed or out of order"]),
        ("accepted", ["gap of 1"]),
        ("accepted", []),
        ("accepted", []),
        ("rejected", ["request_id was used for another message"]),
        ("rejected", ["the signature does not hold"]),
    ]
    assert made[8] == made[9] == again[0] and made[1] == made[11] == again[1] and made[3] == again[2]
    assert all(fault_of_receipt(receipt, validator.validator_id) is None for receipt in made)
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("select count(*) from audit") == len(messages) - 2
    finally:
        await connection.close()
