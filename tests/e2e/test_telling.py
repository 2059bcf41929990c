"""The fleet tells the outside: outages, restarts, redelivery, rotation, conformance."""

import asyncio
import json
import subprocess
from pathlib import Path

import aiohttp
import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co
from ironclaw_contracts.endpoints.co import HandMade, OutboxQuery, Redelivery
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.errors import NotFound
from tests.support.fleet import FleetUnderTest
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until


async def feed(fleet: FleetUnderTest) -> list[dict[str, str]]:
    url = f"http://127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}/api/milestones/latest?limit=50"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return (await response.json())["items"]


async def test_given_openclawdbot_away_when_it_is_back_then_everything_arrives_in_order_and_once(
    open_path: Path,
) -> None:
    fleet = FleetUnderTest(open_path / "fleet", {}, ())
    with Proxy(fleet.port_of(Service.OPENCLAWDBOT)) as receiver:
        fleet.environ["IRONCLAW_OPENCLAWDBOT_URL"] = receiver.url
        receiver.mode = "reset"
        fleet.up()
        try:
            async with fleet.client() as client:
                runs = []
                for number in range(3):
                    chat = api.ChatRequest(message=f"write {number}", mode="async")
                    runs.append((await client.call(api.CHAT, chat)).run_id)
                    assert (await ended(client, runs[-1])).run.status is RunStatus.COMPLETE
                page = await client.call(api.LIST_MILESTONES, query=OutboxQuery(limit=100))
                assert {record.status for record in page.records} <= {"pending", "retrying"}
                assert await feed(fleet) == []
                fleet.kill("co")  # what waits survives its keeper
                receiver.mode = "pass"

                async def delivered() -> bool | None:
                    page = await client.call(api.LIST_MILESTONES, query=OutboxQuery(limit=100))
                    told = [r for r in page.records if r.channel == "milestones"]
                    done = {"delivered", "duplicate"}
                    return (len(told) >= 6 and {r.status for r in told} <= done) or None

                await until(delivered, 60, "the delivery of what waited")
                items = await feed(fleet)
        finally:
            fleet.down()
    ids = [item["milestoneId"] for item in items]
    assert len(ids) == len(set(ids)) == 6
    assert [i.split(".")[0] for i in reversed(ids)] == ["integrated", "run_completed"] * 3
    assert [item["timestampUtc"] for item in items] == sorted(
        (i["timestampUtc"] for i in items), reverse=True
    )


@pytest.mark.trust
async def test_given_openclawdbot_killed_while_it_takes_milestones_in_then_what_it_accepted_is_in_the_feed(
    spare: FleetUnderTest,
) -> None:
    accepted: list[str] = []

    async def emit(number: int) -> None:
        async with spare.client() as client:
            made = HandMade(scope="kill", claim="still there", milestone_id=f"kill-{number}")
            accepted.extend(r.idempotency_key for r in (await client.call(api.EMIT_MILESTONE, made)).records)

    async def kill() -> None:
        for _ in range(4):
            await asyncio.sleep(0.15)
            spare.kill("openclawdbot")

    await asyncio.gather(kill(), *(emit(number) for number in range(40)))

    async def all_there() -> bool | None:
        try:
            there = {item["milestoneId"] for item in await feed(spare)}
        except aiohttp.ClientError:
            return None
        return {f"kill-{number}" for number in range(40)} <= there or None

    await until(all_there, 90, "every milestone in the feed")
    assert len(accepted) == len(set(accepted)) == 40


async def test_given_the_outbox_when_an_operator_works_with_it_then_emit_list_and_redeliver_say_what_they_did(
    fleet: FleetUnderTest,
) -> None:
    said = fleet.cli(
        *("milestones", "emit", "handbook", "The handbook is reviewed.", "--risk", "completed"),
        *("--next-action", "Print it.", "--evidence", "doc:docs/a.md:the review"),
    )
    key = said.splitlines()[1].split("\t")[0]

    async def delivered() -> bool | None:
        listed = fleet.cli_json("milestones", "list", "--status", "delivered", "--limit", "50")["records"]
        return any(r["idempotency_key"] == key for r in listed) or None

    await until(delivered, 30, "the delivery")
    mine = next(item for item in await feed(fleet) if item["scope"] == "handbook")
    assert (mine["source"], mine["riskStatus"], mine["nextAction"]) == ("operator", "completed", "Print it.")
    assert mine["evidence"] == [{"type": "doc", "path": "docs/a.md", "summary": "the review"}]
    assert "there is no dead letter" in fleet.cli("milestones", "redeliver", "no-such-key", code=1)
    assert "write type:path:summary" in fleet.cli(
        "milestones", "emit", "s", "c", "--evidence", "rumour:x:y", code=2
    )
    async with fleet.client() as client:
        with pytest.raises(NotFound):
            await client.call(api.REDELIVER_MILESTONES, Redelivery("none"))
    async with fleet.as_service(Service.API_GATEWAY) as gateway:
        page = await gateway.call(co.LIST_OUTBOX, query=OutboxQuery(limit=1))
        assert len(page.records) == 1
        with pytest.raises(NotFound):
            await gateway.call(co.REDELIVER, Redelivery("none"))
        made = HandMade(scope="x", claim="y", milestone_id="by-hand")
        assert (await gateway.call(co.EMIT_MILESTONE, made)).records[0].status == "pending"


async def test_given_the_example_of_the_page_when_run_as_written_then_the_milestone_is_accepted(
    fleet: FleetUnderTest,
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "milestones.md").read_text()
    script = page.split("```sh\n", 1)[1].split("```", 1)[0]
    script = script.replace(".ironclaw/", f"{fleet.state.path}/")
    script = script.replace("127.0.0.1:8090", f"127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}")
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout) == {"ok": True, "status": "accepted", "milestoneId": "m.1"}, done.stderr


async def test_given_a_source_that_floods_when_it_sends_more_than_it_may_then_503_says_when_to_come_back(
    fleet: FleetUnderTest,
) -> None:
    limits = {
        "IRONCLAW_OPENCLAWDBOT_INGEST_PER_SECOND": "1",
        "IRONCLAW_OPENCLAWDBOT_INGEST_BURST": "20",
    }
    with fleet.stand_in(Service.OPENCLAWDBOT, **limits) as process:
        url = f"http://127.0.0.1:{fleet.listens_on(process, Service.OPENCLAWDBOT)}/internal/milestones/ingest"
        async with aiohttp.ClientSession() as session:

            async def send() -> tuple[int, str, str]:
                async with session.post(url, data=b"{}") as response:
                    body = await response.json()
                    return response.status, response.headers.get("Retry-After", ""), body["status"]

            answers = await asyncio.gather(*(send() for _ in range(60)))
        assert {status for status, _, _ in answers} == {401, 503}  # never 429: emitters take that for final
        assert all(after.isdecimal() for status, after, _ in answers if status == 503)
        assert {word for _, _, word in answers} == {"rejected"}


async def test_given_a_refused_milestone_when_the_secret_is_mended_then_it_is_delivered_again(
    spare: FleetUnderTest,
) -> None:
    old = spare.state.signing_secrets.read_text()
    spare.cli("secrets", "rotate", "--keep", "1")
    rotated = spare.state.signing_secrets.read_text().split(",")
    assert len(rotated) == 2 and rotated[1] == old
    assert old not in spare.cli("secrets", "rotate", "--keep", "0")
    spare.cli("milestones", "emit", "rotation", "Signed by the newest.")

    async def arrived() -> bool | None:
        return any(item["scope"] == "rotation" for item in await feed(spare)) or None

    await until(arrived, 30, "the milestone signed by the new secret")
    url = f"http://127.0.0.1:{spare.port_of(Service.OPENCLAWDBOT)}"
    spare.environ["MILESTONE_SIGNING_SECRET"] = old
    refused = spare.cli("conformance", "milestones", "--against", url, code=1)
    assert "FAIL a plain record is accepted" in refused and "invalid signature" in refused
    del spare.environ["MILESTONE_SIGNING_SECRET"]
    for outcomes in (
        json.loads(spare.cli("conformance", "milestones", "--against", url, "--json")),
        json.loads(spare.cli("conformance", "demand", "--against", url, "--json")),
    ):
        assert [o["name"] for o in outcomes if o["fault"]] == [] and len(outcomes) >= 14
    assert old not in spare.log("co") + spare.log("openclawdbot")
