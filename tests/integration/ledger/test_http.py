"""The ledger over HTTP: the real application on a real database, called with the fleet's tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import uvicorn

from ironclaw_chassis.database import migrate
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.enums import Service
from ironclaw_fleet.ports import free_port
from ironclaw_ledger.app import compose
from ironclaw_ledger.settings import Settings


class Http:
    """Calls one ledger as any of the services."""

    def __init__(self, session: aiohttp.ClientSession, base: str, keys: Path) -> None:
        self.session, self.base, self._keys = session, base, keys

    def headers(self, service: Service) -> dict[str, str]:
        return {"Authorization": f"Bearer {Identity.load(service, self._keys).token_for(Service.LEDGER)}"}

    async def call(
        self, service: Service, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return status and envelope."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        async with self.session.request(
            method, self.base + path, data=raw, headers={**self.headers(service), **headers}
        ) as response:
            return response.status, await response.json()

    async def append(self, service: Service, **event: object) -> tuple[int, dict[str, Any]]:
        return await self.call(service, "POST", "/events", event)

    async def code(self, service: Service, **event: object) -> tuple[int, str]:
        status, envelope = await self.append(service, **event)
        return status, envelope["error"]["code"]

    @asynccontextmanager
    async def stream(self, query: str = "", **headers: str) -> AsyncIterator[aiohttp.StreamReader]:
        """Open the stream of events; it stands when this yields."""
        every = {**self.headers(Service.OBSERVER), **headers}
        async with self.session.get(f"{self.base}/events/stream?{query}", headers=every) as response:
            assert response.status == 200, await response.text()
            assert (await response.content.readline()).startswith(b": following")
            yield response.content


async def received(lines: aiohttp.StreamReader) -> dict[str, Any]:
    """Return the next server-sent event: id, event and its data parsed."""
    fields: dict[str, Any] = {}
    async with asyncio.timeout(10):
        while True:
            line = (await lines.readline()).decode().strip()
            if not line and fields:
                return {**fields, "data": json.loads(fields["data"])}
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value


@asynccontextmanager
async def serving(url: str, keys: Path, **changes: Any) -> AsyncIterator[Http]:
    port = free_port()
    settings = Settings(database_url=Secret(url), keys_dir=str(keys), **changes)
    server = uvicorn.Server(
        uvicorn.Config(
            compose(settings), port=port, log_level="warning", lifespan="on", timeout_graceful_shutdown=1
        )
    )
    running = asyncio.ensure_future(server.serve())
    try:
        async with aiohttp.ClientSession() as session:
            while not server.started:
                assert not running.done()
                await asyncio.sleep(0.01)
            yield Http(session, f"http://127.0.0.1:{port}", keys)
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def http(database_url: str, keys_folder: Path) -> AsyncIterator[Http]:
    async with serving(database_url, keys_folder, streams_max=2) as opened:
        yield opened


TICK = {"type": "PATROL_TICK", "payload": {"figures": {"value": 1}}}
RUN = {"type": "RUN_CREATED", "run_id": "r", "theater_id": "t", "payload": {"user_id": "u", "objective": "x"}}
ORDER = {
    "type": "ORDER_CREATED",
    "run_id": "r",
    "order_id": "o",
    "payload": {
        "title": "t",
        "order": {"order_id": "o", "run_id": "r", "theater_id": "t", "type": "draft", "objective": "x"},
    },
}


async def test_given_an_event_when_sent_twice_then_one_answer_and_another_body_is_409(http: Http) -> None:
    status, first = await http.append(Service.DUTY_OFFICER, **TICK, event_id="same")
    assert (status, first["ok"], first["data"]["duplicate"]) == (200, True, False)
    status, again = await http.append(Service.DUTY_OFFICER, **TICK, event_id="same")
    assert (status, again["data"]) == (200, {**first["data"], "duplicate": True})
    other = {**TICK, "payload": {"figures": {"value": 2}}}
    assert await http.code(Service.DUTY_OFFICER, **other, event_id="same") == (409, "EVENT_CONFLICT")


async def test_given_a_batch_that_asks_for_snapshots_when_appended_or_repeated_then_they_come_as_they_stand(
    http: Http,
) -> None:
    batch = {"events": [{**RUN, "event_id": "run"}, {**ORDER, "event_id": "order"}]}
    status, plain = await http.call(Service.CO, "POST", "/events/batch", batch)
    assert (status, plain["data"]["runs"], plain["data"]["orders"]) == (200, [], [])
    cancelled = {"type": "ORDER_CANCELLED", "order_id": "o", "payload": {"reason": "x"}}
    await http.append(Service.CO, **cancelled)
    status, seen = await http.call(Service.CO, "POST", "/events/batch?snapshots=true", batch)
    assert (status, [event["duplicate"] for event in seen["data"]["events"]]) == (200, [True, True])
    _, view = await http.call(Service.CO, "GET", "/runs/r")
    assert seen["data"]["runs"] == [view["data"]["run"]]
    assert seen["data"]["orders"] == view["data"]["orders"]
    assert view["data"]["orders"][0]["phase"] == "CANCELLED"


async def test_given_each_way_to_be_refused_when_sent_then_its_status_and_code_come(http: Http) -> None:
    assert (await http.append(Service.CO, **RUN))[0] == 200
    assert (await http.append(Service.CO, **ORDER))[0] == 200
    archived = {"type": "ORDER_ENQUEUED", "order_id": "o", "payload": {"base_commit": "a" * 40}}
    assert await http.code(Service.VAULT, **TICK) == (403, "AUTHORITY")
    assert await http.code(Service.CO, **archived) == (409, "NOT_READY")
    stale = {**archived, "payload": {"base_commit": "a" * 40, "attempt": 7}}
    assert await http.code(Service.CO, **stale) == (409, "STALE_ATTEMPT")
    started = {"type": "ORDER_STARTED", "order_id": "o", "unit_id": "u", "payload": {}}
    assert await http.code(Service.WORKER, **started) == (409, "ILLEGAL_TRANSITION")
    assert await http.code(Service.WORKER, **{**started, "order_id": "nowhere"}) == (404, "NOT_FOUND")
    status, lost = await http.call(
        Service.WORKER, "PUT", "/orders/o/lease", {"attempt": 1, "unit_id": "u", "lease_seconds": 5}
    )
    assert (status, lost["error"]["code"]) == (409, "LEASE_LOST")
    async with http.session.post(f"{http.base}/events", json=TICK) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({**TICK, "type": "JUGGLE"}, "$.type"),
        ({**TICK, "payload": {"figures": []}}, "$.figures"),
        ({**TICK, "order_id": "../etc"}, "$.order_id"),
        ({**TICK, "event_id": "a b"}, "$.event_id"),
        ({**TICK, "ts": "yesterday"}, "$.ts"),
        ({**TICK, "ts": "2026-03-14T12:00:00"}, "$.ts"),
        ({**TICK, "ts": "0001-01-01T00:00:00+14:00"}, "ts 0001-01-01"),
        ({**TICK, "ts": "9999-12-31T23:59:59Z"}, "ts 9999-12-31"),
        ({**TICK, "payload": {"x": "a\x00b"}}, "NUL"),
        ({"type": "ORDER_CANCELLED", "payload": {"reason": "x"}}, "AUTHORITY"),
        (b'{"type": "PATROL_TICK", "payload": {"x": NaN}}', "body"),
        (b'{"type": "PATROL_TICK", "payload": {"x": 1e999}}', "body"),
        (b'{"type": "PATROL_TICK", "payload": {"x": "\\ud800"}}', "body"),
    ],
)
async def test_given_bad_input_when_sent_then_a_4xx_names_what_is_wrong_and_nothing_is_kept(
    http: Http, event: object, named: str
) -> None:
    status, envelope = await http.call(Service.DUTY_OFFICER, "POST", "/events", event)
    assert status in {400, 403}, envelope
    error = envelope["error"]
    assert named in error["message"] or named == error["code"], error
    assert (await http.call(Service.CO, "GET", "/chain"))[1]["data"]["head_seq"] == 0


async def test_given_numbers_beyond_64_bits_in_a_payload_when_sent_then_they_are_kept_as_they_are(
    http: Http,
) -> None:
    raw = b'{"type": "PATROL_TICK", "payload": {"z": 123456789012345678901234567890, "a": -0.5}}'
    assert (await http.call(Service.DUTY_OFFICER, "POST", "/events", raw))[0] == 200
    _, page = await http.call(Service.CO, "GET", "/events")
    assert page["data"]["events"][0]["payload"] == {"a": -0.5, "z": 123456789012345678901234567890}
    assert (await http.call(Service.CO, "POST", "/chain/verify"))[1]["data"]["ok"]


async def test_given_a_request_that_cannot_stand_when_sent_among_good_ones_then_only_it_is_refused(
    http: Http,
) -> None:
    bad = {**TICK, "ts": "0001-01-01T00:00:00+14:00"}
    calls = [http.append(Service.DUTY_OFFICER, **(bad if n % 5 == 0 else TICK)) for n in range(50)]
    statuses = [status for status, _ in await asyncio.gather(*calls)]
    assert statuses == [400 if n % 5 == 0 else 200 for n in range(50)]
    assert (await http.call(Service.CO, "GET", "/chain"))[1]["data"]["head_seq"] == 40


async def test_given_a_stream_when_broken_off_then_last_event_id_resumes_without_gap_or_repetition(
    http: Http,
) -> None:
    for _ in range(3):
        await http.append(Service.DUTY_OFFICER, **TICK)
    async with http.stream("after=0") as lines:
        first, second = await received(lines), await received(lines)
    assert (first["id"], first["event"], second["id"]) == ("1", "PATROL_TICK", "2")
    assert first["data"]["seq"] == 1 and second["data"]["prev_hash"] == first["data"]["hash"]
    async with http.stream("after=0", **{"Last-Event-ID": second["id"]}) as lines:
        assert (await received(lines))["id"] == "3"
        await http.append(Service.DUTY_OFFICER, **TICK)
        assert (await received(lines))["id"] == "4"


async def test_given_a_new_stream_when_it_stands_then_it_begins_at_the_head_and_filters(http: Http) -> None:
    await http.append(Service.CO, **RUN)
    async with http.stream("types=ORDER_CREATED,RUN_UPDATED&run_id=r") as lines:
        await http.append(Service.DUTY_OFFICER, **TICK)
        await http.append(Service.CO, **ORDER)
        assert (await received(lines))["data"]["order_id"] == "o"


async def test_given_a_reader_pages_behind_when_it_follows_then_each_event_comes_once_in_order_and_then_the_new(
    database_url: str, keys_folder: Path
) -> None:
    count = 5_300
    async with serving(database_url, keys_folder) as http:
        for first in range(0, count, 1_000):
            batch = {"events": [TICK] * min(1_000, count - first)}
            assert (await http.call(Service.DUTY_OFFICER, "POST", "/events/batch", batch))[0] == 200
    async with serving(database_url, keys_folder) as http, http.stream("after=100") as lines:
        seen = [await received(lines) for _ in range(count - 100)]
        assert [int(event["id"]) for event in seen] == list(range(101, count + 1))
        assert all(event["data"]["seq"] == int(event["id"]) for event in seen)
        await http.append(Service.DUTY_OFFICER, **TICK)
        assert (await received(lines))["data"]["seq"] == count + 1


async def test_given_too_many_streams_when_one_more_is_asked_for_then_503_until_one_ends(http: Http) -> None:
    async with http.stream(), http.stream():
        status, envelope = await http.call(Service.CO, "GET", "/events/stream")
        assert (status, envelope["error"]["code"]) == (503, "UNAVAILABLE")
    async with asyncio.timeout(10):
        while True:
            async with http.session.get(
                f"{http.base}/events/stream", headers=http.headers(Service.CO)
            ) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("header", ["x", "-2", "1.5", "9" * 19, "9" * 5_000])
async def test_given_a_last_event_id_that_is_no_seq_when_streamed_then_400(http: Http, header: str) -> None:
    status, envelope = await http.call(Service.CO, "GET", "/events/stream", **{"Last-Event-ID": header})
    assert status == 400 and "Last-Event-ID" in envelope["error"]["message"], envelope


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("/events?limit=0", "$.limit"),
        ("/events?after=x", "$.after"),
        ("/events?types=JUGGLE", "JUGGLE"),
        ("/events/stream?types=JUGGLE", "JUGGLE"),
        ("/orders?phases=PLANNED,LOST", "LOST"),
        ("/orders?phase=LOST", "$.phase"),
        ("/runs?cursor=-1", "$.cursor"),
        ("/runs/..%2Fetc", "run_id"),
        ("/runs/r?at_seq=-1", "$.at_seq"),
    ],
)
async def test_given_a_query_that_means_nothing_when_asked_then_400_names_it(
    http: Http, query: str, named: str
) -> None:
    status, envelope = await http.call(Service.CO, "GET", query)
    if "%2F" in query:
        assert status in {400, 404}, envelope
        return
    assert status == 400 and named in envelope["error"]["message"], envelope


async def test_given_an_earlier_seq_when_a_run_is_read_then_it_is_as_it_was(http: Http) -> None:
    created = (await http.append(Service.CO, **RUN))[1]["data"]["seq"]
    ordered = (await http.append(Service.CO, **ORDER))[1]["data"]["seq"]
    cancelled = {"type": "ORDER_CANCELLED", "order_id": "o", "payload": {"reason": "x"}}
    await http.append(Service.CO, **cancelled)
    views = [
        (await http.call(Service.CO, "GET", f"/runs/r{query}"))[1]["data"]
        for query in (f"?at_seq={created}", f"?at_seq={ordered}", "")
    ]
    assert [[order["phase"] for order in view["orders"]] for view in views] == [
        [],
        ["PLANNED"],
        ["CANCELLED"],
    ]
    assert [view["run"]["orders_open"] for view in views] == [0, 1, 0]
    assert (await http.call(Service.CO, "GET", "/runs/r?at_seq=0"))[0] == 404


async def test_given_a_database_without_its_schema_when_asked_whether_ready_then_it_says_what_to_run(
    empty_database_url: str, keys_folder: Path
) -> None:
    async with serving(empty_database_url, keys_folder) as http:
        status, envelope = await http.call(Service.CO, "GET", "/ready")
        assert status == 503 and "python -m ironclaw_ledger migrate" in envelope["error"]["message"]
        await migrate(empty_database_url, files("ironclaw_ledger") / "migrations")
        assert (await http.call(Service.CO, "GET", "/ready"))[0] == 200


async def test_given_the_database_away_when_called_then_503_and_it_recovers_by_itself_without_doubles(
    http: Http, database_url: str
) -> None:
    assert (await http.append(Service.DUTY_OFFICER, **TICK, event_id="before"))[0] == 200
    admin = await asyncpg.connect(database_url.rsplit("/", 1)[0] + "/postgres")
    name = database_url.rsplit("/", 1)[1]
    await admin.execute(f"alter database {name} with allow_connections false")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    for method, path, body in (
        ("POST", "/events", {**TICK, "event_id": "during"}),
        ("POST", "/events/batch", {"events": [TICK]}),
        ("GET", "/events", None),
        ("GET", "/events/stream", None),
        ("GET", "/export", None),
        ("GET", "/runs", None),
        ("GET", "/orders/o", None),
        ("GET", "/chain", None),
        ("GET", "/ready", None),
    ):
        status, envelope = await http.call(Service.DUTY_OFFICER, method, path, body)
        assert (status, envelope["error"]["code"]) == (503, "UNAVAILABLE"), path
    await admin.execute(f"alter database {name} with allow_connections true")
    await admin.close()
    for _ in range(2):
        assert (await http.append(Service.DUTY_OFFICER, **TICK, event_id="during"))[0] == 200
    _, page = await http.call(Service.CO, "GET", "/events")
    assert [event["event_id"] for event in page["data"]["events"]] == ["before", "during"]
