"""`appleseed serve`, as senders in the field meet it: their headers, their retries, their mistakes."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw_fleet.ports import free_port
from tests.support.appleseed import (
    CASE,
    appleseed,
    bare_events,
    envelope,
    feedback_event,
    lines,
    make_workspace,
    payloads,
    sample,
    values,
)

KEY = "field-key-1"
BODY_BYTES_MAX = 8 * 1024 * 1024
ANY_EXAMPLE = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Server:
    """A server in a process of its own, which can be killed and started again at the same port."""

    def __init__(self, folder: Path, key: str = "") -> None:
        self.folder, self._key = folder, key
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {name: value for name, value in os.environ.items() if name != "APPLESEED_API_KEY"}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "appleseed_evolution.cli", "serve"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                *("--config", str(self.folder / "appleseed.toml")),
            ],
            env={**env, "APPLESEED_API_KEY": self._key} if self._key else env,
            stdout=(self.folder / "serve.log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self.folder / "serve.log").read_text()
            try:
                if self.call("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server did not come up")

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=30)

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request; return its status and the answer, which is always JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def post(self, path: str, value: object, **headers: str) -> tuple[int, Any]:
        return self.call("POST", path, json.dumps(value).encode(), headers)

    def stored(self) -> list[dict[str, Any]]:
        return lines(self.folder / "state" / "runtime_event_envelopes.jsonl")

    def projected(self) -> list[dict[str, Any]]:
        return lines(self.folder / "state" / "projected_feedback.jsonl")


class FieldClient:
    """A sender as the contract page describes it: what it sends, when it tries again, when it gives up."""

    def __init__(self, base_url: str, key: str = "", tries_max: int = 60) -> None:
        self._address = urlsplit(base_url)
        self._tries_max = tries_max
        self.tries = 0
        self.headers = {"content-type": "application/json", "x-appleseed-integration": "openclaw"}
        if key:
            self.headers |= {"authorization": f"Bearer {key}", "x-appleseed-api-key": key}

    def send(self, path: str, payload: object) -> int | None:
        """Return the status that settled the payload; None when every try failed."""
        body = json.dumps(payload).encode()
        for attempt in range(self._tries_max):
            self.tries += 1
            status = self._try(path, body)
            if status is not None and status < 500:
                return status
            time.sleep(min(0.5, 0.02 * 2**attempt))
        return None

    def _try(self, path: str, body: bytes) -> int | None:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
        try:
            connection.request("POST", path, body, self.headers)
            answer = connection.getresponse()
            json.loads(answer.read())
            return answer.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_workspace(tmp_path)
    return tmp_path


@pytest.fixture
def server(shared: Server) -> Server:
    """The module's server, its state directory taken away: it goes on with an empty one."""
    shutil.rmtree(shared.folder / "state", ignore_errors=True)
    return shared


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not stop it."""
    folder = tmp_path_factory.mktemp("shared")
    make_workspace(folder)
    server = Server(folder)
    server.start()
    yield server
    server.stop()


def test_given_the_batch_when_posted_then_the_answer_has_the_contracts_form(server: Server) -> None:
    status, answer = server.post("/v1/ingest", sample("runtime_events/sample_batch.json"))
    assert status == 200
    assert answer.keys() == {
        "status", "ingested", "skipped", "projected_feedback_records", "events", "projected_feedback"
    }  # fmt: skip
    assert (answer["status"], answer["ingested"], answer["projected_feedback_records"]) == ("recorded", 2, 1)
    assert answer["events"] == server.stored() and answer["projected_feedback"] == server.projected()


def test_given_feedback_and_a_task_when_posted_then_both_are_kept(server: Server) -> None:
    given_feedback = {"session_id": "s", "task": "t", "status": "success", "score": "0.9", "comment": None}
    status, answer = server.post("/v1/feedback", given_feedback)
    assert (status, answer["feedback"]["score"]) == (200, 0.9)
    status, routed = server.post("/v1/route", {"task": CASE["expect"]["route"]["task"], "metadata": {"a": 1}})
    assert status == 200 and routed["selected_skills"][0]["score"] == 10.5
    events = lines(server.folder / "state" / "events.jsonl")
    assert [event["event_type"] for event in events] == ["feedback_recorded", "session_started"]
    for nothing in ({}, {"task": None}, {"task": " "}):
        assert server.post("/v1/route", nothing) == (400, {"error": "task is required"})


def test_given_one_bad_item_when_posted_then_the_whole_payload_is_refused_and_named(server: Server) -> None:
    status, answer = server.post("/v1/ingest", [envelope("s-1"), envelope("s-2", score=2)])
    assert status == 400 and "[1].event.score" in answer["error"]
    assert server.stored() == []


def test_given_the_same_envelope_again_when_posted_then_it_is_skipped(server: Server) -> None:
    sent = envelope("s-1")
    assert server.post("/v1/ingest", sent)[1]["ingested"] == 1
    status, answer = server.post("/v1/ingest", [sent, sent])
    assert (status, answer["ingested"], answer["skipped"]) == (200, 0, 2)
    assert len(server.stored()) == len(server.projected()) == 1


def test_given_a_key_when_callers_send_it_either_way_then_they_pass_and_others_do_not(folder: Path) -> None:
    server = Server(folder, KEY)
    server.start()
    try:
        for headers in ({"authorization": f"bearer {KEY}"}, {"x-appleseed-api-key": KEY}):
            assert server.post("/v1/ingest", envelope("s"), **headers)[0] == 200
        for headers in ({}, {"authorization": f"Bearer {KEY}x"}, {"x-appleseed-api-key": "", "cookie": KEY}):
            status, answer = server.post("/v1/ingest", envelope("s"), **headers)
            assert status == 401 and "key" in answer["error"]
        assert len(server.stored()) == 2
        client = FieldClient(f"http://127.0.0.1:{server.port}", KEY)
        assert client.send("/v1/ingest", envelope("s")) == 200
        wrong = FieldClient(f"http://127.0.0.1:{server.port}", "another")
        assert (wrong.send("/v1/ingest", envelope("s")), wrong.tries) == (401, 1)
        assert KEY not in (folder / "serve.log").read_text()
    finally:
        server.stop()


def test_given_no_key_when_a_web_page_calls_then_it_is_refused(server: Server) -> None:
    status, answer = server.post("/v1/ingest", envelope("s"), origin="https://example.org")
    assert status == 403 and "APPLESEED_API_KEY" in answer["error"]
    assert server.stored() == []


def test_given_no_key_when_told_to_listen_to_other_machines_then_it_does_not_start(folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "APPLESEED_API_KEY"}
    said = appleseed(
        *("serve", "--host", "0.0.0.0", "--config", "appleseed.toml"), cwd=folder, code=1, env=env
    )
    assert "APPLESEED_API_KEY" in said


def test_given_a_port_that_is_taken_when_started_then_one_line_says_so(shared: Server) -> None:
    words = ("serve", "--config", "appleseed.toml", "--port", str(shared.port))
    said = appleseed(*words, cwd=shared.folder, code=1)
    assert f"127.0.0.1:{shared.port}" in said and "in use" in said


def test_given_a_server_that_is_away_when_a_client_retries_then_it_is_delivered_once(folder: Path) -> None:
    server = Server(folder)
    client = FieldClient(f"http://127.0.0.1:{server.port}")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, "/v1/ingest", envelope("s"))
        time.sleep(0.2)
        server.start()
        assert sending.result(timeout=60) == 200
    assert client.tries > 1 and len(server.stored()) == 1
    server.stop()


def test_given_a_state_directory_that_fails_when_a_client_retries_then_503_until_it_is_back(
    server: Server,
) -> None:
    assert server.post("/v1/ingest", envelope("earlier"))[0] == 200
    state, away = server.folder / "state", server.folder / "away"
    state.rename(away)
    state.write_text("in the way")
    status, answer = server.post("/v1/ingest", envelope("s"))
    assert status == 503 and "again" in answer["error"]
    client = FieldClient(f"http://127.0.0.1:{server.port}")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, "/v1/ingest", envelope("s"))
        time.sleep(0.2)
        state.unlink()
        away.rename(state)
        assert sending.result(timeout=60) == 200
    assert client.tries > 1 and len(server.stored()) == 2


def test_given_more_calls_at_once_than_it_takes_when_one_more_comes_then_503_in_json_and_a_retry_succeeds(
    shared: Server,
) -> None:
    begun = b"POST /v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(512):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", shared.port), timeout=10))
            held.sendall(begun)
        connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
        stack.callback(connection.close)
        deadline = time.monotonic() + 30
        while True:
            connection.request("POST", "/v1/route", b'{"task": "review"}')
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 503 or time.monotonic() > deadline:
                break
        assert answer.status == 503 and "again" in said["error"]
        assert answer.getheader("content-type") == "application/json"
        assert answer.getheader("retry-after") == "1"
    client = FieldClient(f"http://127.0.0.1:{shared.port}")
    assert client.send("/v1/route", {"task": "review"}) == 200


@pytest.mark.trust
def test_given_a_server_killed_again_and_again_when_clients_retry_then_all_is_there_once(
    folder: Path,
) -> None:
    server = Server(folder)
    server.start()
    sent = [envelope(f"s-{number}") for number in range(120)]

    def deliver(mine: list[dict[str, Any]]) -> list[int | None]:
        client = FieldClient(f"http://127.0.0.1:{server.port}", tries_max=400)
        return [client.send("/v1/ingest", payload) for payload in mine]

    over = threading.Event()

    def kill() -> int:
        kills = 0
        while not over.wait(0.1) and kills < 3:
            server.stop(signal.SIGKILL)
            server.start()
            kills += 1
        return kills

    with ThreadPoolExecutor(5) as pool:
        killing = pool.submit(kill)
        settled = [
            status for statuses in pool.map(deliver, [sent[i::4] for i in range(4)]) for status in statuses
        ]
        over.set()
        assert killing.result(timeout=120) > 0
    server.stop()
    assert set(settled) == {200}
    ids = Counter(stored["envelope_id"] for stored in server.stored())
    assert ids == Counter(payload["envelope_id"] for payload in sent)
    assert Counter(record["source_envelope_id"] for record in server.projected()) == ids


def test_given_a_command_beside_the_server_when_both_write_then_both_are_there(server: Server) -> None:
    server.post("/v1/ingest", envelope("s-1"))
    appleseed(
        *("ingest", "--config", "appleseed.toml"),
        cwd=server.folder,
        given=json.dumps(shared_envelope := envelope("s-2")).encode(),
    )
    status, answer = server.post("/v1/ingest", [shared_envelope, envelope("s-3")])
    assert (status, answer["ingested"], answer["skipped"]) == (200, 1, 1)
    assert len(server.stored()) == len(server.projected()) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/ingest", 405),
        ("POST", "/health", 405),
        ("POST", "/v1/other", 404),
        ("POST", "/v1/ingest/", 404),
        ("POST", "/v1/ingest%0a", 404),
        ("DELETE", "/", 404),
    ],
)
def test_given_another_path_or_method_when_called_then_the_error_is_json(
    method: str, path: str, status: int, shared: Server
) -> None:
    found, answer = shared.call(method, path, b"{}" if method == "POST" else b"")
    assert found == status and answer["error"]


def test_given_a_body_that_is_too_large_when_posted_then_it_is_refused_for_good(shared: Server) -> None:
    status, answer = shared.call("POST", "/v1/ingest", b" " * (BODY_BYTES_MAX + 1))
    assert status == 413 and str(BODY_BYTES_MAX) in answer["error"]


@pytest.mark.parametrize("path", ["/v1/ingest", "/v1/feedback", "/v1/route"])
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 5000, b'"\\ud800"', b"nul", b"1e999", b"\x00", b"{}" * 9],
)
def test_given_a_malformed_body_when_posted_then_400_and_a_reason(
    path: str, body: bytes, shared: Server
) -> None:
    status, answer = shared.call("POST", path, body)
    assert status == 400 and answer["error"]


def test_given_bytes_that_are_no_request_when_sent_then_the_server_goes_on(shared: Server) -> None:
    for raw in (b"\x16\x03\x01", b"GET\r\n\r\n", b"POST /v1/ingest HTTP/1.1\r\ncontent-length: -5\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert b" 500 " not in connection.recv(4096)
    assert shared.call("GET", "/health") == (200, {"status": "ok"})


def test_given_a_sender_who_hangs_up_within_the_body_when_served_then_it_is_no_fault_of_ours(
    folder: Path,
) -> None:
    server = Server(folder)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
    assert server.call("GET", "/health")[0] == 200
    server.stop()
    log = (folder / "serve.log").read_text()
    assert "Traceback" not in log and "failed" not in log and server.stored() == []


@ANY_EXAMPLE
@given(payload=payloads)
def test_given_any_allowed_payload_when_posted_then_inspection_shows_what_was_answered(
    payload: Any, shared: Server
) -> None:
    before = len(shared.stored())
    status, answer = shared.post("/v1/ingest", payload)
    assert status == 200, answer
    stored = shared.stored()[before:]
    assert stored == answer["events"]
    assert [
        r for r in shared.projected() if r["source_envelope_id"] in {e["envelope_id"] for e in stored}
    ] == (answer["projected_feedback"])
    feedback = [e["envelope_id"] for e in stored if e["event"]["event_kind"] == "session_feedback"]
    assert [r["source_envelope_id"] for r in answer["projected_feedback"]] == feedback


@ANY_EXAMPLE
@given(good=st.lists(bare_events, max_size=2), bad=values, at=st.integers(0, 2))
def test_given_a_payload_with_a_bad_item_when_posted_then_nothing_of_it_is_stored(
    good: list[Any], bad: Any, at: int, shared: Server
) -> None:
    before = (shared.stored(), shared.projected())
    status, answer = shared.post("/v1/ingest", [*good[:at], bad, *good[at:]])
    assert status == 400 and f"[{min(at, len(good))}]" in answer["error"]
    assert (shared.stored(), shared.projected()) == before


@ANY_EXAMPLE
@given(
    path=st.sampled_from(["/v1/ingest", "/v1/feedback", "/v1/route"]),
    body=st.one_of(st.binary(max_size=80), values.map(lambda value: json.dumps(value).encode())),
)
def test_given_any_bytes_when_posted_then_the_answer_is_never_a_fault_of_ours(
    path: str, body: bytes, shared: Server
) -> None:
    status, answer = shared.call("POST", path, body)
    assert status in {200, 400} and isinstance(answer, dict)


def test_given_all_that_was_taken_in_when_inspected_then_each_raw_envelope_is_shown(server: Server) -> None:
    sent = [envelope(f"s-{number}") for number in range(30)]
    for payload in sent:
        server.post("/v1/ingest", payload)
    words = ("inspect", "--config", "appleseed.toml", "--limit", "30")
    audit = json.loads(appleseed(*words, cwd=server.folder))
    assert [row["raw_envelope"] for row in audit["audit_records"]] == server.stored()
    assert [row["envelope_id"] for row in audit["audit_records"]] == [e["envelope_id"] for e in sent]


def test_given_a_termination_when_served_then_it_stops_and_says_nothing_odd(folder: Path) -> None:
    server = Server(folder)
    server.start()
    server.post("/v1/ingest", feedback_event("s"))
    server.stop()
    assert "Traceback" not in (folder / "serve.log").read_text()
