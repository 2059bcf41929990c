"""The suite of the Appleseed surface (contract: Appleseed evolution, HTTP). Pure: ids and time come in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from ironclaw_contracts.endpoints import learning_appleseed as api
from ironclaw_contracts.instants import format_instant
from ironclaw_fleet.conformance.case import Case

_INTEGRATION = {"content-type": "application/json", "x-appleseed-integration": "conformance"}


def appleseed_suite(key: str, run: str, now: datetime) -> list[Case]:
    """Return the cases of POST /v1/ingest, /v1/feedback and /v1/route; `run` keeps two runs' sessions apart.

    With a `key`, calls carry it as field clients do, and those with none or a wrong one must be refused.
    """
    headers = _headers(key, key)
    feedback: dict[str, Any] = {
        "event_kind": "session_feedback",
        "session_id": f"conformance-{run}",
        "task": "check a receiver",
        "status": "partial",
        "score": 0.5,
    }

    def envelope(name: str, **changes: Any) -> dict[str, Any]:
        return {
            "contract_name": "openclaw_appleseed.runtime_event",
            "contract_version": "1.0",
            "envelope_id": _id(run, name),
            "recorded_at": format_instant(now),
            "source": "conformance",
            "event": {**feedback, "event_id": _id(run, f"{name}.event"), "schema_version": "1.1", **changes},
        }

    def ingest(name: str, payload: Any, status: int = 200, **expect: Any) -> Case:
        body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        recorded: dict[str, Any] = {"status": "recorded"} if status == 200 else {}
        return Case(name, api.INGEST_EVENTS.path, body, headers, status, recorded | expect)

    started = {**feedback, "event_kind": "session_started"}
    batch = {"source": "conformance", "events": [started, feedback], "metadata": {"operator": "conformance"}}
    good, spoilt = envelope("whole"), envelope("spoilt", score=1.5)
    cases = [
        ingest("an envelope is recorded", envelope("one"), ingested=1, projected_feedback_records=1),
        ingest("the same envelope again is skipped", envelope("one"), ingested=0, skipped=1),
        ingest("a batch, whose source is its items'", batch, ingested=2, projected_feedback_records=1),
        ingest("a list of bare events", [{**started, "source": "conformance"}], projected_feedback_records=0),
        ingest("unknown members are tolerated", {**envelope("more", mood="good"), "via": "x"}, ingested=1),
        ingest("a score may be a numeric string", envelope("text", score="0.25"), ingested=1),
        ingest("one bad item", [good, spoilt], 400),
        ingest("rejects the whole payload, so the good one is still new", good, ingested=1),
        ingest("an empty list", [], 400),
        ingest("not JSON", b"{", 400),
        ingest("no source", feedback, 400),
        ingest("another contract version", {**envelope("v2"), "contract_version": "2.0"}, 400),
        ingest("an instant without a zone", envelope("zone", occurred_at="2026-03-13T18:22:39"), 400),
        ingest("a session_feedback without a score", envelope("none", score=None), 400),
        _case("direct feedback is recorded", api.GIVE_FEEDBACK.path, feedback, headers, status="recorded"),
        _case("a task is routed", api.ROUTE_TASK.path, {"task": "check"}, headers, task="check"),
        Case("no task", api.ROUTE_TASK.path, b"{}", headers, 400),
    ]
    if key:
        refused = msgspec.json.encode(envelope("refused"))
        cases += [
            Case(name, api.INGEST_EVENTS.path, body, _headers(*keys), status)
            for name, body, keys, status in (
                ("no key", refused, ("", ""), 401),
                ("another key", refused, (f"{key}x", f"{key}x"), 401),
                ("the key as a bearer token alone", refused, (key, ""), 200),
                ("the key in its own header alone", refused, ("", key), 200),
            )
        ]
    return cases


def _case(name: str, path: str, value: Any, headers: Mapping[str, str], **expect: Any) -> Case:
    return Case(name, path, msgspec.json.encode(value), headers, 200, expect)


def _headers(bearer: str, own: str) -> dict[str, str]:
    headers = dict(_INTEGRATION)
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    if own:
        headers["x-appleseed-api-key"] = own
    return headers


def _id(run: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"conformance:{run}:{name}"))
