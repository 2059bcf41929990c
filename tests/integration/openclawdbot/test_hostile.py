"""Hostile deliveries and reads: a clear 4xx, never a 5xx, answered at once (TRUST rows 6 and 10)."""

import asyncio
import json
import os
import random
import time
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from ironclaw_contracts.endpoints import ALL, openclawdbot
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import new_id
from tests.integration.openclawdbot.conftest import Outside
from tests.integration.openclawdbot.test_channels import DEMAND, MILESTONES, milestone, snapshot
from tests.support.fleet import FleetUnderTest

pytestmark = pytest.mark.trust

FULL = bool(os.environ.get("IRONCLAW_TRUST_FULL"))
BODIES = 10_000 if FULL else 600
AT_ONCE = 16
ANSWERED_SECONDS_MAX = 1.0
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e300,
    -0.0,
    2**70,
    "",
    " ",
    "\ufeff",
    "a\x00b",
    "\ud800",
    "x" * 5_000,
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    [],
    {},
    [[]],
    {"__proto__": 1},
    [None, {}, "x"],
)


def mutated(value: Any, chance: random.Random) -> Any:
    """Return a value with one of its parts, however deep, replaced by something odd, dropped or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        kept = {k: v for k, v in value.items() if k != name}
        match chance.randint(0, 9):
            case 0:
                return kept
            case 1:
                return kept | {name.upper(): value[name]}
            case _:
                return kept | {name: mutated(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], mutated(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


async def test_given_signed_envelopes_with_odd_parts_when_sent_then_each_is_taken_or_refused_at_once(
    outside: Outside,
) -> None:
    """The signature is right, so that the parts are looked at."""
    chance = random.Random(10)
    slots = asyncio.Semaphore(AT_ONCE)
    seen: dict[int, int] = {}
    slowest = 0.0

    async def send(number: int) -> None:
        nonlocal slowest
        path, good = (MILESTONES, milestone(new_id())) if number % 2 else (DEMAND, counted(new_id()))
        body = json.dumps(mutated(good, chance)).encode()
        async with slots:
            begun = time.perf_counter()
            answer = await outside.post(path, body, outside.signed(body))
            slowest = max(slowest, time.perf_counter() - begun)
        seen[answer.status] = seen.get(answer.status, 0) + 1
        assert answer.body["status"] in {"accepted", "duplicate", "rejected"}, (body, answer.raw)
        assert (answer.status == 200) is answer.body["ok"]

    for first in range(0, BODIES, 200):
        await asyncio.gather(*(send(number) for number in range(first, first + 200)))
    assert set(seen) == {200, 400}, seen
    assert slowest <= ANSWERED_SECONDS_MAX, f"{slowest:.2f} s"
    for endpoint in (openclawdbot.DEMAND, openclawdbot.DEMAND_LIVE, openclawdbot.OVERVIEW):
        assert (await outside.get(endpoint.path)).status == 200  # what was taken can be shown


def counted(key: str) -> dict[str, Any]:
    """Return a demand envelope with every member that the contract names, from long ago."""
    return {
        "idempotencyKey": key,
        "sentAtUtc": "2020-01-01T00:00:00Z",
        "snapshot": {
            "summaryId": f"s.{key}",
            "generatedAtUtc": "2020-01-01T00:00:00Z",
            "source": "orchestrator",
            "queueTotal": 3,
            "draftTotal": 2,
            "selectedForDraftTotal": 1,
            "tagCounts": {"draft": 1, "priority": 1, "manualReview": 1},
            "topPillars": [{"id": "p", "label": "P", "count": 1}],
            "topKeywordClusters": [{"id": "c", "label": "C", "count": 1}],
            "segments": [
                {
                    "id": "s",
                    "label": "S",
                    "liveSignalCount": 1,
                    "state": "hot",
                    "staticWeight": 1,
                    "clusterLabels": ["c"],
                }
            ],
        },
    }


async def test_given_random_bytes_when_sent_to_both_channels_then_they_are_refused(outside: Outside) -> None:
    chance = random.Random(7)
    headers = outside.signed(b"{}")
    for _ in range(BODIES // 100):
        bodies = [chance.randbytes(chance.randint(0, 300)) for _ in range(100)]
        answers = await asyncio.gather(
            *(
                outside.post(path, body, headers)
                for path, body in zip([MILESTONES, DEMAND] * 50, bodies, strict=True)
            )
        )
        assert {(a.status, a.body["reason"]) for a in answers} == {(400, "invalid JSON body")}


async def test_given_headers_of_all_kinds_when_sent_then_only_the_right_ones_pass(outside: Outside) -> None:
    body = json.dumps(milestone(new_id())).encode()
    right = outside.signed(body)
    signature, timestamp = right["x-openclaw-signature"], right["x-openclaw-timestamp"]
    for name, values in {
        "x-openclaw-signature": [
            signature[:-1],
            signature + "0",
            signature[::-1],
            f"sha256={signature}",
            "0" * 64,
            "\u00e9",
            "x" * 8_000,
        ],
        "x-openclaw-timestamp": ["now", "0", timestamp[:-1], timestamp[:10], "9" * 400, "\u00e9"],
    }.items():
        for value in values:
            answer = await outside.post(MILESTONES, body, right | {name: value})
            assert answer.status == 401, (name, value, answer.raw)
    async with outside.session.get(outside.url + MILESTONES, headers=right) as wrong_method:
        assert wrong_method.status == 405
    assert (await outside.post(MILESTONES, body, right)).body["status"] == "accepted"


@pytest.mark.parametrize(
    "path",
    [
        *(endpoint.path + "/" for endpoint in ALL[Service.OPENCLAWDBOT] if endpoint.path.startswith("/api/")),
        "/api//milestones/latest",
        "/api/nothing",
    ],
)
async def test_given_a_path_that_is_not_exactly_a_declared_one_when_read_then_404_for_any_origin(
    outside: Outside, path: str
) -> None:
    answer = await outside.get(path)
    assert answer.status == 404 and answer.body["ok"] is False
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_given_a_demand_snapshot_with_counts_beyond_all_integers_when_sent_then_it_can_be_read(
    outside: Outside,
) -> None:
    from datetime import UTC, datetime, timedelta

    sent = snapshot(new_id(), datetime.now(UTC) + timedelta(days=2), 1)
    sent["snapshot"]["queueTotal"] = 1e300
    assert (await outside.send(DEMAND, sent)).body["status"] == "accepted"
    live = (await outside.get(openclawdbot.DEMAND_LIVE.path)).body
    assert live["snapshot"]["queueTotal"] == 1e300
    assert (await outside.get(openclawdbot.DEMAND.path)).body["summary"]["queueTotal"] == 1e300


def test_given_generated_requests_when_sent_to_every_documented_operation_then_no_5xx(
    fleet: FleetUnderTest,
) -> None:
    url = f"http://127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}"
    document = requests.get(f"{url}/schema/openapi.json", timeout=10).json()
    ours = {e.name for e in ALL[Service.OPENCLAWDBOT] if e.form == "foreign"}
    tried: set[str] = set()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        name = operation.definition.raw.get("operationId", "")
        if name in ours:
            _answers(operation, url)
            tried.add(name)
    assert tried == ours


def _answers(operation: Any, url: str) -> None:
    @settings(
        max_examples=100 if FULL else 15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        response = case.call(base_url=url, timeout=15)
        assert response.status_code < 500, (case.as_curl_command(), response.text[:500])

    answered()
