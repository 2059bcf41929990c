"""The past of a fleet: read over HTTP and by the command, the same when everything derived is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from redis.asyncio import Redis

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger, vault
from ironclaw_contracts.endpoints.ledger_proof import MainlinesQuery, PointQuery
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from tests.support.fleet import FleetUnderTest
from tests.support.git import git


@pytest.fixture(scope="module")
def own(open_root: Path) -> Iterator[FleetUnderTest]:
    """A fleet on servers of its own, to drop things from."""
    with FleetUnderTest.started(open_root / "past") as running:
        yield running


@pytest.fixture(scope="module")
def runs(own: FleetUnderTest) -> list[dict[str, Any]]:
    """Two runs, one after the other, that have ended."""
    return [own.cli_json("chat", f"Draft letter {number}")["run"] for number in (1, 2)]


async def drop_what_is_derived(fleet: FleetUnderTest) -> None:
    postgres = EmbeddedPostgres.running(fleet.state)
    assert postgres is not None
    connection = await asyncpg.connect(postgres.url("ironclaw"))
    await connection.execute("truncate ledger.runs, ledger.orders, ledger.escalations, ledger.leases")
    await connection.close()
    config = (fleet.state.valkey / "valkey.conf").read_text().splitlines()
    said = dict(line.split(" ", 1) for line in config)
    async with Redis.from_url(f"redis://:{said['requirepass']}@127.0.0.1:{said['port']}") as redis:
        await redis.flushall()


async def test_given_redis_and_projections_dropped_when_rebuilt_then_hashes_and_answers_are_the_same(
    own: FleetUnderTest, runs: list[dict[str, Any]]
) -> None:
    before = own.cli_json("ledger", "rebuild")
    head = own.cli_json("events", "--limit", "1")["head_seq"]
    listed = [own.cli_json("runs"), own.cli_json("orders", "--limit", "100")]
    then = own.cli_json("runs", "--as-of", str(head))
    await drop_what_is_derived(own)
    assert own.cli_json("runs")["runs"] == []
    assert own.cli_json("runs", "--as-of", str(head)) == then
    after = own.cli_json("ledger", "rebuild")
    # Patrols tick on meanwhile; they change no snapshot.
    assert after["state_sha256"] == before["state_sha256"]
    assert [own.cli_json("runs"), own.cli_json("orders", "--limit", "100")] == listed
    assert own.cli_json("ledger", "verify")["ok"]
    assert own.cli_json("chat", "Draft letter 3")["run"]["status"] == "COMPLETE"


async def test_given_a_merge_when_theaters_are_read_as_of_before_it_then_they_stand_where_they_stood(
    own: FleetUnderTest, runs: list[dict[str, Any]]
) -> None:
    first, second = runs
    between = str(second["first_seq"] - 1)
    async with own.client() as client:
        log = await client.call(api.READ_LOG, query=vault.LogQuery(as_of=between), theater_id="main")
        now = await client.call(api.READ_LOG, theater_id="main")
        [theater] = (await client.call(api.LIST_THEATERS, query=AsOfQuery(between))).theaters
        assert theater.head == log.head != now.head
        instant = second["created_at"]
        by_time = await client.call(api.READ_LOG, query=vault.LogQuery(as_of=instant), theater_id="main")
        assert by_time.head in {log.head, now.head}
        assert (await client.call(api.LIST_THEATERS, query=AsOfQuery("1"))).theaters == []
        with pytest.raises(NotFound, match="knew nothing"):
            await client.call(api.READ_LOG, query=vault.LogQuery(as_of="1"), theater_id="main")
    repository = own.state.vault / "theaters" / "main" / "repo"
    merged = own.cli_json("orders", "--run", first["run_id"])["orders"][-1]["merge_commit"]
    assert log.head == merged and git(repository, "merge-base", "--is-ancestor", log.head, now.head) == ""
    async with own.as_service(Service.CO) as co:
        head = await co.call(vault.GET_THEATER, query=AsOfQuery(between), theater_id="main")
        files = await co.call(vault.LIST_FILES, query=vault.FilesQuery(as_of=between), theater_id="main")
        assert head.head == files.commit == merged
        paths = {file.path for file in files.files}
        late = {f.path for f in (await co.call(vault.LIST_FILES, theater_id="main")).files} - paths
        assert late
        with pytest.raises(NotFound):
            query = vault.FileQuery(path=late.pop(), as_of=between)
            await co.call(vault.READ_FILE, query=query, theater_id="main")
        with pytest.raises(BadRequest, match="give one"):
            both = vault.FileQuery(path="x", commit=merged, as_of=between)
            await co.call(vault.READ_FILE, query=both, theater_id="main")
    async with own.as_service(Service.VAULT) as asking:
        assert (await asking.call(ledger.FIND_POINT, query=PointQuery(between))).seq == int(between)
        found = await asking.call(ledger.LIST_MAINLINES, query=MainlinesQuery(as_of=between))
        assert [(m.theater_id, m.commit) for m in found.mainlines] == [("main", merged)]


async def test_given_an_earlier_point_when_runs_and_orders_are_read_then_they_are_as_they_were(
    own: FleetUnderTest, runs: list[dict[str, Any]]
) -> None:
    first = runs[0]
    order_id = own.cli_json("orders", "--run", first["run_id"])["orders"][0]["order_id"]
    events = own.cli_json("events", "--order", order_id)["events"]
    created = str(events[0]["seq"])
    async with own.client() as client:
        view = await client.call(api.GET_RUN, query=ledger.RunQuery(as_of=created), run_id=first["run_id"])
        assert view.run.status is RunStatus.OPEN and view.orders[0].phase == "PLANNED"
        with pytest.raises(BadRequest, match="give one"):
            both = ledger.RunQuery(at_seq=3, as_of="3")
            await client.call(api.GET_RUN, query=both, run_id=first["run_id"])
        with pytest.raises(BadRequest, match="yet to come"):
            await client.call(api.LIST_RUNS, query=ledger.RunsQuery(as_of="2999-01-01T00:00:00Z"))
    assert own.cli_json("run", first["run_id"], "--as-of", created)["run"]["status"] == "OPEN"
    assert own.cli_json("order", order_id, "--as-of", created)["order"]["phase"] == "PLANNED"
    assert own.cli_json("orders", "--as-of", created)["orders"][0]["phase"] == "PLANNED"
    assert own.cli_json("runs", "--as-of", created)["runs"][0]["status"] == "OPEN"
    assert own.cli_json("why", order_id, "--as-of", created)["terminal"] is False
    assert own.cli_json("why", first["run_id"], "--as-of", created)["terminal"] is False
    assert own.cli_json("theater", "list", "--as-of", "1")["theaters"] == []
    head = own.cli_json("theater", "log", "main", "--as-of", str(runs[1]["first_seq"] - 1))["head"]
    assert head == own.cli_json("order", order_id)["order"]["merge_commit"]
    assert "as_of" in own.cli("runs", "--as-of", "yesterday", code=2)


async def test_given_an_order_when_its_files_are_read_as_of_then_they_are_those_of_its_commit_of_then(
    own: FleetUnderTest, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    [order] = own.cli_json("orders", "--run", runs[0]["run_id"])["orders"]
    order_id, path = order["order_id"], order["artifacts"][0]["path"]
    seqs = {event["type"]: event["seq"] for event in own.cli_json("events", "--order", order_id)["events"]}
    claimed, completed = str(seqs["ORDER_CLAIMED"]), str(seqs["ORDER_COMPLETED"])
    own.cli("artifact", order_id, path, "-o", str(tmp_path / "then"), "--as-of", completed)
    own.cli("artifact", order_id, path, "-o", str(tmp_path / "now"))
    assert (tmp_path / "then").read_bytes() == (tmp_path / "now").read_bytes()
    unmerged = own.cli_json("diff", order_id, "--as-of", completed)
    merged = own.cli_json("diff", order_id)
    assert unmerged["commit"] == order["commit_sha"] != merged["commit"] == order["merge_commit"]
    assert own.cli_json("diff", order_id, "--as-of", str(seqs["INTEGRATED"])) == merged
    assert "has no commit yet" in own.cli("diff", order_id, "--as-of", claimed, code=1)
    assert "no artifact" in own.cli("artifact", order_id, path, "--as-of", claimed, code=1)


@pytest.mark.parametrize("path", ["/theaters/main/weather", "/runs/{run_id}/spending", "/events", "/fleet"])
async def test_given_a_read_of_the_present_when_asked_as_of_then_it_is_refused_rather_than_answered_for_now(
    own: FleetUnderTest, runs: list[dict[str, Any]], path: str
) -> None:
    url = own.url + path.format(run_id=runs[0]["run_id"])
    headers = {"Authorization": f"Bearer {own.operator_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(url, params={"as_of": "1"}) as answer:
            assert (answer.status, "as_of" in await answer.text()) == (400, True)
        async with session.get(url, params={"of_the_future": "1"}) as answer:
            assert answer.status == 200
