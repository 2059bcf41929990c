"""The chain finds every tampering, an export proves itself, and a rebuild gives the live snapshots again."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.chain import verify_lines
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from ironclaw_fleet.embedded.roles import ensure_database, ensure_roles
from ironclaw_ledger import audit
from ironclaw_ledger.parts import Ledger
from tests.support.fleet import FleetUnderTest
from tests.support.ledger import Scribe

TAMPERINGS = {
    "body changed": ("update events set body = replace(body, '\"u\"', '\"v\"') where seq = 1", 1),
    "event deleted": ("delete from events where seq = 7", 7),
    "column changed": ("update events set type = 'INTEGRATED' where seq = 5", 5),
    "hash changed": ("update events set hash = repeat('0', 64) where seq = 9", 9),
    "two swapped": (
        "update events e set body = o.body, hash = o.hash from events o"
        " where (e.seq, o.seq) in ((3, 4), (4, 3))",
        3,
    ),
    "one inserted": (
        "insert into events select max(seq) + 1, 'forged', now(), 'PATROL_TICK', null, null, null,"
        " 'duty_officer', '\\x00', '{}', repeat('1', 64) from events",
        17,
    ),
    "theater column changed": ("update events set theater_id = 'elsewhere' where seq = 6", 6),
    "time column changed": ("update events set ts = ts - interval '1 day' where seq = 10", 10),
    "tail cut": ("delete from events where seq > 12", 13),
    "tail cut with its checkpoint": (
        "delete from events where seq > 12; delete from checkpoints where seq > 12",
        13,
    ),
}


@pytest.fixture
async def full(ledger: Ledger) -> AsyncIterator[Ledger]:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    await scribe.complete()
    await scribe.integrate()
    await scribe.of_run(E.RUN_COMPLETED, p.RunCompleted(reply="done"))
    assert (await ledger.store.head())[0] == 16
    yield ledger


async def test_given_an_untouched_ledger_when_verified_then_it_holds(full: Ledger) -> None:
    found = await audit.verify(full.store, full.signer.public_key)
    assert (found.ok, found.events, found.checkpoints) == (True, 16, 2)


@pytest.mark.trust
@pytest.mark.parametrize("name", sorted(TAMPERINGS))
async def test_given_tampering_as_superuser_when_verified_then_the_first_bad_seq_is_named(
    full: Ledger, database_url: str, name: str
) -> None:
    statement, bad_seq = TAMPERINGS[name]
    connection = await asyncpg.connect(database_url)
    await connection.execute(statement)
    await connection.close()
    found = await audit.verify(full.store, full.signer.public_key)
    assert (found.ok, found.bad_seq) == (False, bad_seq), found


@pytest.mark.trust
async def test_given_a_tail_cut_with_all_that_speaks_of_it_when_verified_then_who_committed_it_knows(
    full: Ledger, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("delete from events where seq > 12; delete from checkpoints where seq > 8")
    await connection.execute("delete from runs; delete from orders")
    await connection.close()
    found = await audit.verify(full.store, full.signer.public_key, full.stream.seq_max)
    assert (found.ok, found.bad_seq) == (False, 13), found


async def test_given_writers_that_keep_writing_when_exported_then_the_export_ends_sealed(
    full: Ledger,
) -> None:
    stopping = asyncio.Event()

    async def write() -> None:
        while not stopping.is_set():
            await full.appender.append(Service.DUTY_OFFICER, [new_event(E.PATROL_TICK, p.PatrolTick())])

    writers = [asyncio.ensure_future(write()) for _ in range(4)]
    try:
        for _ in range(10):
            await asyncio.sleep(0.02)
            parts = [part async for part in await audit.export(full.store, full.signer)]
            found = verify_lines(b"".join(parts).splitlines(), full.signer.public_key)
            assert found.ok, found
    finally:
        stopping.set()
        await asyncio.gather(*writers)


async def test_given_an_export_when_verified_alone_then_it_holds_and_any_loss_shows(full: Ledger) -> None:
    lines = b"".join([part async for part in await audit.export(full.store, full.signer)]).splitlines()
    assert verify_lines(lines, full.signer.public_key).ok
    assert not verify_lines(lines[:-1]).ok
    assert not verify_lines(lines[1:]).ok
    assert not verify_lines(lines, "0" * 64).ok
    changed = [line.replace(b"done", b"gone") for line in lines]
    assert verify_lines(changed).bad_seq == 16
    assert not verify_lines([*lines[:3], b"not json", *lines[3:]]).ok
    for index in range(0, len(lines[5]), 7):
        flipped = lines[5][:index] + bytes([lines[5][index] ^ 1]) + lines[5][index + 1 :]
        assert not verify_lines([*lines[:5], flipped, *lines[6:]]).ok, index


async def test_given_damaged_snapshots_when_rebuilt_then_they_are_named_and_mended(
    full: Ledger, database_url: str
) -> None:
    assert (await audit.rebuild(full.store)).differing == []
    connection = await asyncpg.connect(database_url)
    await connection.execute("update orders set snapshot = replace(snapshot, 'INTEGRATED', 'FAILED')")
    await connection.execute("delete from runs")
    await connection.close()
    assert (await audit.rebuild(full.store)).differing == ["order-1", "run-1"]
    assert (await audit.rebuild(full.store)).differing == []


async def test_given_the_service_role_when_it_tries_to_change_a_fact_then_postgres_refuses(
    fleet: FleetUnderTest, postgres_url: str
) -> None:
    database = await ensure_database(postgres_url)
    # With the passwords that the fleet has: roles belong to the whole server.
    urls = await ensure_roles(database, "ledger", fleet.state.keys)
    other = await ensure_roles(database, "api_gateway", fleet.state.keys)
    for url, statement in (
        (urls.app, "update events set body = ''"),
        (urls.app, "delete from events"),
        (urls.app, "truncate events"),
        (urls.app, "create table mine (a int)"),
        (other.app, "select * from ledger.events"),
        (other.owner, "select * from ledger.events"),
    ):
        connection = await asyncpg.connect(url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
        await connection.close()
