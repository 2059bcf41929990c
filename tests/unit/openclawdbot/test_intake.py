"""The checks of a delivery, in the contract's order; coercion of demand; what the command center shows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironclaw_contracts.canonical import parse
from ironclaw_contracts.demand import Segment, count, read_snapshot
from ironclaw_contracts.instants import format_instant, parse_instant
from ironclaw_contracts.milestones import Malformed, Milestone, read_milestone
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from ironclaw_openclawdbot.intake import Accepted, Channel, Rejection, examine
from ironclaw_openclawdbot.overview import FeedFigures, demand_view, overview
from ironclaw_openclawdbot.receiving import SourceLimit
from ironclaw_openclawdbot.showing import clamp_limit, read_catalogue

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "the-secret"
CHANNEL = Channel[Milestone]("milestones", read_milestone, "invalid milestone event")
EVENT: dict[str, Any] = {
    "milestoneId": " m.1 ",
    "timestampUtc": "2026-02-28T12:34:56.000Z",
    "scope": "Runtime",
    "claim": "It runs.",
    "evidence": [{"type": "log", "path": "a.json", "summary": "s"}],
    "riskStatus": "on-track",
    "nextAction": "Watch.",
}


def envelope(**changes: Any) -> dict[str, Any]:
    return {"idempotencyKey": "k-1", "sentAtUtc": "2026-02-28T12:34:56.000Z", "event": EVENT} | changes


def look(
    body: bytes | None, *, secrets: list[str] | None = None, at: str | None = None, **headers: str
) -> Accepted[Milestone] | Rejection:
    sent = {SIGNATURE_HEADER: "00", TIMESTAMP_HEADER: at or format_instant(NOW)} | headers
    return examine(CHANNEL, sent, body, [SECRET] if secrets is None else secrets, NOW, 300)


def signed(value: dict[str, Any], at: str | None = None) -> Accepted[Milestone] | Rejection:
    body = json.dumps(value).encode()
    return look(body, at=at, **{SIGNATURE_HEADER: sign(SECRET, parse(body))})


def reason(outcome: Accepted[Milestone] | Rejection) -> tuple[int, str]:
    assert isinstance(outcome, Rejection), outcome
    return outcome.status, outcome.reason


def test_given_a_delivery_with_every_fault_when_mended_one_by_one_then_the_reasons_come_in_order() -> None:
    no_secret = look(None, secrets=[])
    assert reason(no_secret)[0] == 500 and isinstance(no_secret, Rejection) and not no_secret.recorded
    missing = "missing x-openclaw-signature or x-openclaw-timestamp"
    assert reason(look(None, **{SIGNATURE_HEADER: " "})) == (401, missing)
    assert reason(look(None)) == (413, "body too large")
    assert reason(look(b"[1]")) == (400, "invalid JSON body")
    assert reason(look(b'{"idempotencyKey": " "}')) == (400, "missing idempotencyKey")
    assert reason(look(b'{"idempotencyKey": "k"}')) == (401, "invalid signature")
    stale = format_instant(NOW - timedelta(seconds=301))
    assert reason(signed(envelope(event={}), at=stale)) == (401, "timestamp outside replay window")
    assert reason(signed(envelope(event={}), at="soon")) == (401, "timestamp outside replay window")
    assert reason(signed(envelope(event={})))[0] == 400
    accepted = signed(envelope(idempotencyKey="  k-1 "))
    assert isinstance(accepted, Accepted) and accepted.idempotency_key == "k-1"
    assert (accepted.record.milestone_id, accepted.record.source) == ("m.1", "orchestrator")


def test_given_keys_that_differ_in_what_ecmascript_keeps_when_read_then_they_stay_two_keys() -> None:
    kept = [signed(envelope(idempotencyKey=key)) for key in ("k", "k\x1f", "\x85k")]
    assert [a.idempotency_key for a in kept if isinstance(a, Accepted)] == ["k", "k\x1f", "\x85k"]
    assert reason(signed(envelope(idempotencyKey="\ufeff\u2003"))) == (400, "missing idempotencyKey")


@pytest.mark.parametrize("seconds", [-300, 300])
def test_given_the_edge_of_the_window_when_checked_then_it_is_inside(seconds: int) -> None:
    assert isinstance(signed(envelope(), at=format_instant(NOW + timedelta(seconds=seconds))), Accepted)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"milestoneId": " "}, "milestoneId"),
        ({"scope": None}, "scope"),
        ({"claim": 5}, "claim"),
        ({"nextAction": ""}, "nextAction"),
        ({"timestampUtc": "yesterday"}, "timestampUtc"),
        ({"timestampUtc": "2026-02-30T00:00:00Z"}, "timestampUtc"),
        ({"riskStatus": "fine"}, "riskStatus"),
        ({"source": "me"}, "source"),
        ({"source": None}, "source"),
        ({"evidence": {}}, "evidence"),
        ({"evidence": [5]}, "evidence[0]"),
        ({"evidence": [{"type": "log", "path": "", "summary": "s"}]}, "evidence[0].path"),
        ({"evidence": [{"type": "x", "path": "p", "summary": "s"}]}, "evidence[0].type"),
        ({"evidence": [{"type": "log", "path": "p", "summary": "s", "ref": 5}]}, "evidence[0].ref"),
        ({"claim": "a\x00b"}, "claim"),
        ({"claim": "\ud800"}, "claim"),
    ],
)
def test_given_a_malformed_event_when_read_then_the_field_is_named(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Malformed) as found:
        read_milestone(envelope(event=EVENT | change))
    assert str(found.value).startswith(field)


def test_given_counts_of_all_kinds_when_read_then_they_are_floored_or_zero() -> None:
    given = [3.9, 0, -1, "7", None, True, float("inf"), float("nan"), 1e300]
    assert [count(value) for value in given][:6] == [3, 0, 0, 0, 0, 0]
    assert [count(value) for value in given][6:8] == [0, 0]


SNAPSHOT: dict[str, Any] = {
    "summaryId": "s",
    "generatedAtUtc": "2026-03-01T11:55:00Z",
    "source": "orchestrator",
    "queueTotal": 2.7,
    "tagCounts": {},
    "topPillars": [{"id": "p", "label": "Pillar", "count": 2}, {"id": " ", "label": "x"}, 5],
    "segments": [
        {
            "id": "cash-velocity",
            "label": "Cash",
            "liveSignalCount": 4,
            "state": "boiling",
            "clusterLabels": ["a", 5],
        }
    ],
}


def test_given_a_snapshot_with_broken_entries_when_read_then_they_are_dropped_and_the_rest_kept() -> None:
    read = read_snapshot({"idempotencyKey": "k", "snapshot": SNAPSHOT})
    assert (read.queue_total, read.draft_total, [p.id for p in read.top_pillars]) == (2, 0, ["p"])
    assert read.segments == [Segment("cash-velocity", "Cash", 4, "idle", 0, ["a"])]
    for change in ({"segments": [{}]}, {"tagCounts": None}, {"source": "agent"}, {"generatedAtUtc": 5}):
        with pytest.raises(Malformed):
            read_snapshot({"snapshot": SNAPSHOT | change})


def test_given_the_catalogue_and_a_snapshot_when_joined_then_live_signals_come_from_it_by_id() -> None:
    catalogue = read_catalogue("")
    snapshot = read_snapshot({"snapshot": SNAPSHOT})
    live = demand_view(catalogue, snapshot, NOW)
    assert (live["summary"]["source"], live["summary"]["topSegmentLabel"]) == ("live", "Cash Velocity")
    assert live["segments"][0].live_signal_count == 4 and len(live["segments"]) == len(catalogue)
    late = demand_view(catalogue, snapshot, NOW + timedelta(minutes=6))
    assert late["summary"]["source"] == "stale" and late["summary"]["stale"] is True
    none = demand_view(catalogue, None, NOW)
    assert (none["summary"]["source"], none["summary"]["snapshotGeneratedAt"]) == ("fallback", None)
    assert none["summary"]["topSegmentLabel"] == "Cash Velocity"  # no signals: weight, then label


def test_given_a_feed_when_summed_up_then_lanes_risks_and_nodes_follow() -> None:
    feed = [
        read_milestone(envelope(event=EVENT | {"scope": scope, "riskStatus": risk}))
        for scope, risk in (("B", "blocked"), ("a", "on-track"), ("b", "completed"))
    ]
    seen = overview(FeedFigures(feed, NOW - timedelta(minutes=1), 2, "invalid signature", 0), NOW)
    assert seen["activeLanes"] == ["b", "a"] and seen["evidenceCount"] == 3 and seen["stale"] is False
    assert seen["riskCounts"] == {"onTrack": 1, "atRisk": 0, "blocked": 1, "completed": 1}
    assert [node.id for node in seen["proofNodes"]] == [
        *("emit", "verify", "store", "canon", "broadcast", "surface")
    ]
    empty = overview(FeedFigures([], None, 0, None, 0), NOW)
    assert empty["latest"] is None and empty["stale"] is True
    assert {node.state for node in empty["proofNodes"]} == {"idle"}


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        (None, 20),
        ("", 20),
        ("x", 20),
        ("0", 1),
        ("-5", 1),
        ("51", 50),
        ("7.9", 7),
        ("1e9", 50),
        ("inf", 20),
        ("1_0", 20),
        ("٣", 20),
    ],
)
def test_given_a_limit_when_clamped_then_it_lies_in_the_contracts_bounds(
    given: str | None, limit: int
) -> None:
    assert clamp_limit(given) == limit


def test_given_one_source_that_floods_when_limited_then_the_others_are_not() -> None:
    limit = SourceLimit(per_second=1, burst=2)
    assert [limit.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limit.take("b", 0.0) and limit.take("a", 1.0) and not limit.take("a", 1.0)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-02-28T12:34:56.000Z", True),
        ("2026-02-28T12:34:56+02:00", True),
        ("2026-02-28T12:34Z", True),
        ("2026-02-28t12:34:56z", True),
        (" 2026-02-28T12:34:56Z\n", True),
        ("\x1c2026-02-28T12:34:56Z", False),
        ("2026-02-28", False),
        ("2026-02-28 12:34:56Z", False),
        ("2026-02-28T12:34:56", False),
        ("２０２６-02-28T12:34:56Z", False),
        (5, False),
    ],
)
def test_given_a_text_when_taken_for_an_instant_then_only_date_time_and_zone_make_one(
    text: object, is_one: bool
) -> None:
    assert (parse_instant(text) is not None) is is_one
