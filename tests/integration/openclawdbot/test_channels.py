"""The milestone and demand channels over HTTP, on PostgreSQL."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.endpoints import ALL, openclawdbot
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER
from ironclaw_fleet.embedded.roles import DATABASE
from tests.integration.openclawdbot.conftest import Outside
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import until

MILESTONES, DEMAND = openclawdbot.INGEST_MILESTONE.path, openclawdbot.INGEST_DEMAND.path
CAPTURED = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "hmac" / "hmac_captured.json").read_text()
)
GETS: tuple[Endpoint[Any, Any, Any], ...] = (
    openclawdbot.LATEST_MILESTONES,
    openclawdbot.MILESTONE_DEAD_LETTERS,
    openclawdbot.DEMAND_LIVE,
    openclawdbot.DEMAND,
    openclawdbot.DEMAND_DEAD_LETTERS,
    openclawdbot.OVERVIEW,
    openclawdbot.CONTROL,
)


def milestone(key: str, **event: Any) -> dict[str, Any]:
    now = format_instant(datetime.now(UTC))
    told = {
        "milestoneId": f"m.{key}",
        "timestampUtc": now,
        "scope": "tests",
        "claim": "It holds. ✅",
        "evidence": [],
        "riskStatus": "on-track",
        "nextAction": "Go on.",
    }
    return {"idempotencyKey": key, "sentAtUtc": now, "event": told | event}


def snapshot(key: str, at: datetime, queue: int) -> dict[str, Any]:
    return {
        "idempotencyKey": key,
        "snapshot": {
            "summaryId": f"s.{key}",
            "generatedAtUtc": format_instant(at),
            "source": "orchestrator",
            "queueTotal": queue,
            "tagCounts": {},
            "segments": [{"id": "cash-velocity", "label": "Cash", "liveSignalCount": 2, "state": "hot"}],
        },
    }


async def test_given_a_milestone_when_sent_twice_then_it_is_accepted_once_and_in_the_feed(
    outside: Outside,
) -> None:
    key = new_id()
    sent = milestone(key)
    first, second, third = [await outside.send(MILESTONES, sent) for _ in range(3)]
    assert first.raw == b'{"ok":true,"status":"accepted","milestoneId":"m.%s"}' % key.encode()
    assert second.raw == b'{"ok":true,"status":"duplicate","milestoneId":"m.%s"}' % key.encode()
    assert second.raw == third.raw  # a retried delivery is answered the same, byte for byte
    other = await outside.send(MILESTONES, milestone(key, milestoneId="another"))
    assert other.body == {"ok": True, "status": "duplicate", "milestoneId": f"m.{key}"}
    items = (await outside.get("/api/milestones/latest?limit=50")).body["items"]
    mine = [item for item in items if item["milestoneId"] == f"m.{key}"]
    assert mine == [sent["event"] | {"source": "orchestrator"}]


async def test_given_requests_captured_in_the_field_when_sent_again_then_only_their_age_is_refused(
    outside: Outside,
) -> None:
    """The fleet's secret is not the field's, so the bodies are signed anew; header and order stay."""
    for case in CAPTURED["vectors"]:
        if "body_utf8" not in case:
            continue
        value = json.loads(case["body_utf8"])
        body = case["body_utf8"].replace(value["idempotencyKey"], new_id()).encode()
        answer = await outside.post(case["path"], body, outside.signed(body))
        assert answer.status == 200, (case["name"], answer.raw)
        expected = json.loads(case["upstream_server_answer"]["body"])
        assert answer.body == expected, case["name"]
        old = await outside.post(
            case["path"], body, outside.signed(body) | {TIMESTAMP_HEADER: "2026-01-01T00:00:00Z"}
        )
        assert (old.status, old.body["reason"]) == (401, "timestamp outside replay window")


@pytest.mark.trust
async def test_given_200_deliveries_of_one_key_at_once_when_counted_then_one_is_accepted_and_one_is_shown(
    outside: Outside,
) -> None:
    key = new_id()
    sent = milestone(key)
    answers = await asyncio.gather(*(outside.send(MILESTONES, sent) for _ in range(200)))
    statuses = [answer.body["status"] for answer in answers]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (1, 199)
    items = (await outside.get("/api/milestones/latest?limit=50")).body["items"]
    assert sum(item["milestoneId"] == f"m.{key}" for item in items) == 1


@pytest.mark.trust
async def test_given_a_signed_body_when_any_byte_is_changed_then_it_is_refused(outside: Outside) -> None:
    body = json.dumps(milestone(new_id()), ensure_ascii=False).encode()
    headers = outside.signed(body)
    slots = asyncio.Semaphore(32)

    async def tampered(position: int) -> int:
        changed = bytearray(body)
        changed[position] ^= 0x01
        async with slots:
            return (await outside.post(MILESTONES, bytes(changed), headers)).status

    statuses = await asyncio.gather(*(tampered(position) for position in range(len(body))))
    assert set(statuses) <= {400, 401}
    assert (await outside.post(MILESTONES, body, headers)).body["status"] == "accepted"


@pytest.mark.trust
async def test_given_replays_when_sent_outside_the_window_or_to_another_route_then_they_are_refused(
    outside: Outside,
) -> None:
    sent = milestone(new_id())
    for seconds, status in ((-302, 401), (302, 401), (-290, 200), (290, 200)):
        at = format_instant(datetime.now(UTC) + timedelta(seconds=seconds))
        assert (await outside.send(MILESTONES, sent, **{TIMESTAMP_HEADER: at})).status == status
    wrong_route = await outside.send(DEMAND, sent)
    assert wrong_route.body["reason"].startswith("invalid demand summary snapshot")
    assert (await outside.get(MILESTONES)).status == 405
    assert (await outside.post(MILESTONES + "/", b"{}")).status == 404
    unsigned = await outside.post(MILESTONES, b"{}", {TIMESTAMP_HEADER: "x"})
    assert (unsigned.status, unsigned.body["status"]) == (401, "rejected")


async def test_given_rejected_deliveries_when_listed_then_the_newest_hundred_are_kept_with_their_reasons(
    outside: Outside,
) -> None:
    for path, letters in (
        (MILESTONES, openclawdbot.MILESTONE_DEAD_LETTERS.path),
        (DEMAND, openclawdbot.DEMAND_DEAD_LETTERS.path),
    ):
        for number in range(105):
            await outside.send(path, {"idempotencyKey": f"bad-{number}"})
        seen = (await outside.get(letters)).body
        assert seen["count"] == len(seen["items"]) == 100
        assert seen["items"][0]["idempotencyKey"] == "bad-104"
        assert seen["items"][0]["reason"].startswith("invalid ")
        assert seen["items"][0]["timestampUtc"] >= seen["items"][-1]["timestampUtc"]


@pytest.mark.trust
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"idempotencyKey": NaN}',
        b'{"idempotencyKey": "k", "x": 1e400}',
        b'{"idempotencyKey": "\\ud800"}',
        b'{"idempotencyKey": "a\\u0000b"}',
        b"\xef\xbb\xbf{}",
        b"x" * (256 * 1024 + 1),
        b"x" * 10_000_000,
        b'{"idempotencyKey":"k","idempotencyKey":5}',
    ],
    ids=[
        "empty",
        "utf16",
        "braces",
        "deep",
        "nan",
        "huge-number",
        "surrogate",
        "nul",
        "bom",
        "256k",
        "10m",
        "dup",
    ],
)
async def test_given_a_hostile_body_when_sent_then_a_clear_4xx_and_a_dead_letter(
    outside: Outside, body: bytes
) -> None:
    headers = {SIGNATURE_HEADER: "0" * 64, TIMESTAMP_HEADER: format_instant(datetime.now(UTC))}
    for path, letters in (
        (MILESTONES, "/api/milestones/dead-letter"),
        (DEMAND, openclawdbot.DEMAND_DEAD_LETTERS.path),
    ):
        answer = await outside.post(path, body, headers)
        assert 400 <= answer.status < 500, answer.raw
        newest = (await outside.get(letters)).body["items"][0]
        assert newest["reason"] == answer.body["reason"]


async def test_given_a_signed_key_that_cannot_be_stored_when_sent_then_it_is_malformed_and_not_a_5xx(
    outside: Outside,
) -> None:
    for key in ("a\x00b", "x\ud800", "k" * 100_000):
        sent = milestone(new_id()) | {"idempotencyKey": key}
        body = json.dumps(sent).encode()
        answer = await outside.post(MILESTONES, body, outside.signed(body))
        assert answer.status in {200, 400}, answer.raw
        assert (answer.status == 200) is (key[0] == "k")


async def test_given_demand_summaries_out_of_order_when_read_then_the_latest_is_the_one_made_last(
    outside: Outside,
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    newer, older = new_id(), new_id()
    assert (await outside.send(DEMAND, snapshot(newer, ahead, 7))).body["status"] == "accepted"
    late = await outside.send(DEMAND, snapshot(older, ahead - timedelta(hours=1), 9))
    assert late.body == {"ok": True, "status": "accepted", "summaryId": f"s.{older}"}
    again = await outside.send(DEMAND, snapshot(newer, ahead, 7))
    assert again.body == {"ok": True, "status": "duplicate", "summaryId": f"s.{newer}"}
    live = (await outside.get(openclawdbot.DEMAND_LIVE.path)).body
    assert (live["snapshot"]["summaryId"], live["stale"]) == (f"s.{newer}", False)
    view = (await outside.get(openclawdbot.DEMAND.path)).body
    assert view["summary"]["queueTotal"] == 7 and view["summary"]["source"] == "live"
    assert view["segments"][0]["state"] == "hot"


async def test_given_a_browser_when_it_reads_then_any_origin_may_and_what_did_not_change_is_not_sent_again(
    outside: Outside,
) -> None:
    for endpoint in GETS:
        answer = await outside.get(endpoint.path, Origin="https://dash.example")
        assert answer.status == 200 and answer.body["ok"] is True
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-cache"
    unchanged = openclawdbot.CONTROL.path
    tag = (await outside.get(unchanged)).headers["ETag"]
    again = await outside.get(unchanged, **{"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    async with outside.session.options(outside.url + unchanged) as preflight:
        assert preflight.status == 204 and "GET" in preflight.headers["access-control-allow-methods"]
    inside = await outside.post(MILESTONES, b"{}", {"Origin": "https://dash.example"})
    assert "access-control-allow-origin" not in inside.headers
    clusters = (await outside.get(unchanged)).body["clusters"]
    assert {engine["id"] for engine in clusters[0]["engines"]} == {service.value for service in ALL}


async def test_given_a_theater_with_policies_when_control_is_read_then_it_shows_what_really_runs(
    fleet: FleetUnderTest, outside: Outside, tmp_path: Path
) -> None:
    rules = tmp_path / ".ironclaw"
    rules.mkdir()
    (rules / "policy.toml").write_text('[commands]\nallow = ["make"]\nnetwork = true\n')
    (rules / "gates.toml").write_text("[merge]\nrequire_approval = true\n")
    theater = f"control-{new_id().lower()}"
    fleet.cli("theater", "add", theater, str(tmp_path), "--import-files")

    async def shown() -> dict[str, Any] | None:
        clusters = (await outside.get(openclawdbot.CONTROL.path)).body["clusters"]
        return next((c for c in clusters if c["id"] == f"theater-{theater}"), None)

    [engine] = (await until(shown, 15, "the theater"))["engines"]
    assert engine["name"] == "executor_default" and engine["allowedSkills"] == ["make"]
    assert (engine["networkMode"], engine["approvalClass"]) == ("allowlisted", "approval-gated")


async def test_given_a_follower_when_it_comes_back_with_the_last_id_then_it_misses_nothing(
    outside: Outside,
) -> None:
    keys = [new_id() for _ in range(4)]
    await outside.send(MILESTONES, milestone(keys[0]))

    async def follow(last: str, wanted: int) -> list[str]:
        seen: list[str] = []
        url = outside.url + openclawdbot.STREAM_MILESTONES.path
        async with asyncio.timeout(15), outside.session.get(url, headers={"Last-Event-ID": last}) as response:
            assert response.headers["access-control-allow-origin"] == "*"
            async for line in response.content:
                if line.startswith(b"id:"):
                    seen.append(line[3:].strip().decode())
                    if keys[wanted] in seen:
                        return seen
        return seen

    following = asyncio.ensure_future(follow(keys[0], 1))
    await asyncio.sleep(0.3)
    await outside.send(MILESTONES, milestone(keys[1]))
    assert keys[1] in await following
    await outside.send(MILESTONES, milestone(keys[2]))
    await outside.send(MILESTONES, milestone(keys[3]))
    seen = [key for key in await follow(keys[1], 3) if key in keys]
    assert seen == keys[2:]


async def test_given_the_roles_of_the_database_when_they_reach_across_then_neither_reads_the_others_tables(
    fleet: FleetUnderTest, postgres_url: str
) -> None:
    connection = await asyncpg.connect(postgres_url.rsplit("/", 1)[0] + f"/{DATABASE}")
    try:
        for own, foreign in (("openclawdbot", "ledger.events"), ("ledger", "openclawdbot.milestones")):
            await connection.execute(f"set role {own}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {foreign}")
            await connection.execute("reset role")
    finally:
        await connection.close()
    assert fleet.state.signing_secrets.stat().st_mode & 0o777 == 0o600
