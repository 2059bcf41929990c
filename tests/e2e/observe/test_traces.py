"""One chat is one trace over every service that had a part in it, seen from a real OTLP receiver."""

import json
import secrets
import subprocess
import sys

import aiohttp

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import RunStatus, Service
from ironclaw_contracts.health import metrics_endpoint
from tests.conftest import ROOT
from tests.support.fleet import FleetUnderTest
from tests.support.otlp import OtlpReceiver, Seen
from tests.support.waiting import until

TOOK_PART = {"api_gateway", "co", "ledger", "vault", "worker", "observer", "integration"}
CLIENT_SPAN = "b7ad6b7169203331"


async def chat_in_trace(fleet: FleetUnderTest, trace_id: str) -> dict[str, object]:
    """Ask for a run of several orders, as a client that has a trace of its own."""
    async with fleet.client() as client:
        folder = str(ROOT / "examples" / "handbook")
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="handbook", import_path=folder))
    headers = {
        "Authorization": f"Bearer {fleet.operator_key}",
        "traceparent": f"00-{trace_id}-{CLIENT_SPAN}-01",
    }
    chat = {
        "message": "Summarize",
        "playbook": "summarize",
        "theater_hint": "handbook",
        "inputs": {"pattern": "docs/0[1-3]*.md"},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{fleet.url}/chat", json=chat, headers=headers) as response,
    ):
        return (await response.json())["data"]


async def whole_trace(receiver: OtlpReceiver, trace_id: str) -> list[Seen]:
    """Return a trace once its last span came: the chat's own, all parents, and the merge of each order.

    Each process exports by itself, and a merge is told under its span: the span ends after the run may have
    been answered, so that the chat's own can come before it.
    """

    async def look() -> list[Seen] | None:
        spans = receiver.of_trace(trace_id)
        known = {span.span_id for span in spans} | {CLIENT_SPAN, ""}
        ended = any(span.name == "chat" and span.service == "ironclaw-api_gateway" for span in spans)
        merged = orders_of(spans, "worker.execute") == orders_of(spans, "integration.merge")
        return spans if ended and merged and all(span.parent in known for span in spans) else None

    return await until(look, 20, "the trace")


def orders_of(spans: list[Seen], name: str) -> set[str]:
    """The orders that spans of a name are about; each order of a batch has a span of its own."""
    return {span.attributes["ironclaw.order_id"] for span in spans if span.name == name}


async def test_given_a_chat_when_its_spans_are_received_then_they_are_one_trace_over_every_service(
    observed: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    trace_id = secrets.token_hex(16)
    run = await chat_in_trace(observed, trace_id)
    assert run["status"] == RunStatus.COMPLETE, run
    spans = await whole_trace(receiver, trace_id)
    assert {span.service for span in spans} == {f"ironclaw-{name}" for name in TOOK_PART}
    known = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent not in known] == ["chat"]  # the client's own is above
    assert len(known) == len(spans)
    names = {span.name for span in spans}
    assert {
        "queue.publish",
        "worker.execute",
        "observer.validate",
        "integration.merge",
        "co.advance",
    } <= names
    assert len(orders_of(spans, "worker.execute")) == len(orders_of(spans, "integration.merge")) == 4
    assert not [span for span in spans if span.error]


async def test_given_a_chat_without_a_trace_when_received_then_the_gateway_began_one(
    observed: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    async with observed.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a note", playbook="draft"))
        events = observed.cli_json("events", "--run", answer.run_id)["events"]
    # What a timer does about a run, such as tidying its worktrees, is no part of the chat.
    traced = [event for event in events if event["traceparent"]]
    assert {"RUN_CREATED", "ORDER_CREATED", "ORDER_COMPLETED", "INTEGRATED"} <= {e["type"] for e in traced}
    [trace_id] = {event["traceparent"].split("-")[1] for event in traced}
    spans = await whole_trace(receiver, trace_id)
    assert [span.name for span in spans if not span.parent] == ["chat"]
    assert {span.service for span in spans} == {f"ironclaw-{name}" for name in TOOK_PART}


async def test_given_a_traced_chat_when_logs_are_read_then_their_lines_name_the_trace(
    observed: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    trace_id = secrets.token_hex(16)
    await chat_in_trace(observed, trace_id)
    for service in ("co", "ledger", "vault"):
        lines = (observed.state.logs / f"{service}.log").read_text().splitlines()
        mine = [line for line in map(json.loads, lines) if line.get("trace_id") == trace_id]
        assert mine and all(len(line["span_id"]) == 16 for line in mine), service


async def test_given_polling_when_received_then_no_trace_consists_of_it(
    observed: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    roots = {span.service for span in receiver.spans if not span.parent}
    assert roots <= {"ironclaw-api_gateway", "ironclaw-openclawdbot"}


async def test_given_an_endpoint_when_metrics_are_exported_then_they_are_those_of_the_registry(
    observed: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    async with observed.client() as client:
        await client.call(api.CHAT, api.ChatRequest(message="Draft a note", playbook="draft"))

    async def look() -> bool | None:
        wanted = {
            ("ironclaw_ledger_events", "ironclaw-ledger:sum"),
            ("ironclaw_ledger_append_seconds", "ironclaw-ledger:histogram"),
            ("ironclaw_units_busy", "ironclaw-worker:gauge"),
            ("ironclaw_merges", "ironclaw-integration:sum"),
        }
        return all(origin in receiver.metrics.get(name, ()) for name, origin in wanted) or None

    await until(look, 15, "the metrics")


async def test_given_the_gateway_when_its_metrics_are_asked_without_a_key_then_they_are_refused(
    observed: FleetUnderTest,
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{observed.url}/metrics") as response:
            assert response.status == 401
        async with session.get(f"http://127.0.0.1:{observed.port_of(Service.LEDGER)}/metrics") as response:
            assert response.status == 200 and response.content_type == "text/plain"
    async with observed.client() as client:
        assert b"ironclaw_http_request_seconds" in await client.call(metrics_endpoint(Service.API_GATEWAY))


def test_given_no_exporter_when_a_service_is_composed_then_opentelemetry_is_not_imported() -> None:
    names = [service.value for service in Service if service is not Service.LEARNING]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(f'ironclaw_{{name}}.app')\n"
        "found = [m for m in sys.modules if m.startswith('opentelemetry')]\nassert not found, found[:5]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
