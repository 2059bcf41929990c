"""Appleseed's surface on a running fleet, and what outside sessions come to in the ledger."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from appleseed_evolution.openclaw.importing import openclaw_import
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import learning
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import Event, EventType
from tests.integration.learning.test_policy import TYPE, chat
from tests.support.appleseed import NOW, appleseed, make_workspace, sample
from tests.support.fleet import FleetUnderTest

INGEST, FEEDBACK, ROUTE = learning.INGEST_EVENTS.path, learning.GIVE_FEEDBACK.path, learning.ROUTE_TASK.path


def post(fleet: FleetUnderTest, path: str, value: Any, **headers: str) -> tuple[int, Any]:
    """Send as field clients do; return status and body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{fleet.port_of(Service.LEARNING)}{path}",
        data=json.dumps(value).encode(),
        headers={"content-type": "application/json", "x-appleseed-integration": "openclaw", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def session(session_id: str, status: str, score: float, **metadata: str) -> dict[str, Any]:
    return {
        "source": "openclaw",
        "envelope_id": f"envelope-{session_id}",
        "event": {
            "event_kind": "session_feedback",
            "session_id": session_id,
            "task": "review a migration",
            "status": status,
            "score": score,
            "comment": "as it went",
            "metadata": metadata,
        },
    }


async def recorded(client: ServiceClient, *sessions: str) -> list[Event]:
    query = EventsQuery(type=EventType.FEEDBACK_RECORDED, limit=1_000)
    events = (await client.call(api.LIST_EVENTS, query=query)).events
    return [event for event in events if event.payload["detail"].get("session_id") in sessions]


async def test_given_sessions_from_outside_when_projected_then_each_is_in_the_ledger_once(
    taught: FleetUnderTest,
) -> None:
    async with taught.client() as client:
        view = await chat(client, profile="good")
        before = (await client.call(api.GET_POLICY)).figures[TYPE]["good"]
        batch = [
            session("of-a-run", "failure", 0.2, run_id=view.run.run_id),
            session("good", "success", 0.9),
            session("so-so", "partial", 0.7, run_id="no such run"),
        ]
        status, answer = post(taught, INGEST, batch)
        assert (status, answer["projected_feedback_records"]) == (200, 3)
        status, answer = post(taught, INGEST, batch)
        assert (status, answer["skipped"]) == (200, 3)
        for _ in range(2):
            await client.call(api.LEARN_TICK)
        events = await recorded(client, "of-a-run", "good", "so-so")
        found = {e.payload["detail"]["session_id"]: e for e in events}
        assert len(events) == 3 and {e.payload["origin"] for e in events} == {"appleseed"}
        verdicts = {name: event.payload["verdict"] for name, event in found.items()}
        assert verdicts == {"of-a-run": "reject", "good": "accept", "so-so": "noted"}
        assert found["of-a-run"].run_id == view.run.run_id and found["good"].run_id is None
        assert found["of-a-run"].payload["orders"][0]["order_id"] == view.orders[0].order_id
        after = (await client.call(api.GET_POLICY)).figures[TYPE]["good"]
        assert after.corrected == before.corrected + 1


async def test_given_records_whose_ids_and_texts_are_odd_when_brought_then_none_holds_up_the_rest(
    taught: FleetUnderTest, tmp_path: Path
) -> None:
    """A bundle brings ids of its own, and other writers put null where we put none."""
    config = taught.state.path / "appleseed" / "appleseed.toml"
    odd = {"surrogate": "\ud800", "nul": "a\x00b", "long": "x" * 5_000}
    for name, projection_id in odd.items():
        artifact = sample("openclaw_sessions/sample_session.json")
        artifact["session"]["session_id"], artifact["source"] = name, "\x00\ud800\n"
        (elsewhere := tmp_path / name).mkdir()
        imported = openclaw_import(make_workspace(elsewhere), json.dumps(artifact).encode(), now=NOW)
        bundle = imported["handoff_bundle"]
        bundle["projected_feedback"][0]["projection_id"] = projection_id
        given = json.dumps(bundle).encode()
        appleseed("openclaw-import", "--config", str(config), cwd=tmp_path, given=given)
    ledger = config.parent / "state" / "projected_feedback.jsonl"
    line = json.loads(ledger.read_text().splitlines()[-1])
    line["projection_id"], line["feedback"]["session_id"] = "of another writer", "null"
    line["feedback"]["comment"] = None
    with ledger.open("a") as file:
        file.write(f"{json.dumps(line)}\n{{}}\n")
    async with taught.client() as client:
        for _ in range(2):
            await client.call(api.LEARN_TICK)
        events = await recorded(client, *odd, "null")
    assert [event.payload["detail"]["session_id"] for event in events] == [*odd, "null"]
    assert {event.payload["verdict"] for event in events} == {"reject"}


def test_given_the_contracts_cases_when_run_against_the_fleet_then_all_pass(taught: FleetUnderTest) -> None:
    url = f"http://127.0.0.1:{taught.port_of(Service.LEARNING)}"
    taught.cli("conformance", "appleseed", "--against", url)
    status, answer = post(taught, ROUTE, {"task": "review"})
    assert status == 200 and answer["task"] == "review"
    said = {"session_id": "s", "task": "t", "status": "success", "score": 1}
    assert post(taught, FEEDBACK, said)[0] == 200
    assert post(taught, FEEDBACK, said, Origin="http://evil.example")[0] == 403
