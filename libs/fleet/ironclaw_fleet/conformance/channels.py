"""The suites of the milestone and demand channels. Pure: ids and time come in."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from ironclaw_contracts import demand, milestones
from ironclaw_contracts.canonical import parse
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from ironclaw_fleet.conformance.case import Case
from ironclaw_fleet.conformance.corners import CORNERS


class _Channel(Struct, frozen=True):
    """Where records go, what the envelope calls them, a good one and one that is malformed."""

    path: str
    member: str
    good: dict[str, Any]
    bad: dict[str, Any]


def milestone_suite(secret: str, run: str, now: datetime) -> list[Case]:
    """Return the cases of POST /internal/milestones/ingest; `run` keeps two runs' keys apart."""
    event: dict[str, Any] = {
        "milestoneId": f"conformance.{run}",
        "timestampUtc": format_instant(now),
        "scope": "conformance",
        "claim": "A receiver is being checked.",
        "evidence": [{"type": "log", "path": "conformance", "summary": "this run"}],
        "riskStatus": "on-track",
        "nextAction": "None.",
        "source": "operator",
    }
    bad = {**event, "riskStatus": "fine"}
    return _suite(_Channel(milestones.INGEST_PATH, "event", event, bad), secret, run, now)


def demand_suite(secret: str, run: str, now: datetime) -> list[Case]:
    """Return the cases of POST /internal/demand/ingest."""
    segment = {"id": "draft", "label": "Draft", "liveSignalCount": 1, "state": "warm", "staticWeight": 1}
    snapshot: dict[str, Any] = {
        "summaryId": f"conformance.{run}",
        "generatedAtUtc": format_instant(now),
        "source": "orchestrator",
        "queueTotal": 1,
        "draftTotal": 0,
        "selectedForDraftTotal": 0,
        "tagCounts": {"draft": 0, "priority": 0, "manualReview": 0},
        "topPillars": [],
        "topKeywordClusters": [],
        "segments": [{**segment, "clusterLabels": []}],
    }
    bad = {**snapshot, "segments": []}
    return _suite(_Channel(demand.INGEST_PATH, "snapshot", snapshot, bad), secret, run, now)


def _suite(channel: _Channel, secret: str, run: str, now: datetime) -> list[Case]:
    def envelope(key: str, record: dict[str, Any] | None = None) -> bytes:
        sent = {"idempotencyKey": f"conformance.{run}.{key}", "sentAtUtc": format_instant(now)}
        return msgspec.json.encode({**sent, channel.member: record or channel.good})

    def case(
        name: str,
        body: bytes,
        status: int,
        reason: str | None = None,
        *,
        signature: str | None = None,
        at: datetime = now,
        expect: dict[str, Any] | None = None,
        same_as: str | None = None,
    ) -> Case:
        headers = {
            SIGNATURE_HEADER: _signature(secret, body) if signature is None else signature,
            TIMESTAMP_HEADER: format_instant(at),
        }
        rejected: dict[str, Any] = {"ok": False, "status": "rejected", "reason": reason} if reason else {}
        return Case(name, channel.path, body, headers, status, rejected | (expect or {}), same_as)

    plain, upper, other = envelope("plain"), envelope("upper"), envelope("other")
    spaced = envelope("spaced").replace(b'":', b'" :\n ')
    tampered = envelope("tampered")
    accepted, duplicate = {"ok": True, "status": "accepted"}, {"ok": True, "status": "duplicate"}
    again = "the same record again is a duplicate"
    return [
        case("a plain record is accepted", plain, 200, expect=accepted),
        case(again, plain, 200, expect=duplicate),
        case("a retry is answered the same, byte for byte", plain, 200, expect=duplicate, same_as=again),
        case("white space and key order are not signed", spaced, 200, expect=accepted),
        *(
            case(name, envelope(f"corner-{n}")[:-1] + f",{member}}}".encode(), 200, expect=accepted)
            for n, (name, member) in enumerate(CORNERS.items())
        ),
        case(
            "a signature in capitals is the same",
            upper,
            200,
            expect=accepted,
            signature=_signature(secret, upper).upper(),
        ),
        case(
            "another secret's signature",
            other,
            401,
            "invalid signature",
            signature=_signature(f"{secret}x", other),
        ),
        case(
            "one letter of the record changed",
            tampered.replace(b"sentAtUtc", b"sentAtUtd"),
            401,
            "invalid signature",
            signature=_signature(secret, tampered),
        ),
        case(
            "a timestamp from an hour ago",
            envelope("old"),
            401,
            "timestamp outside replay window",
            at=now - timedelta(hours=1),
        ),
        case(
            "no idempotencyKey",
            msgspec.json.encode({channel.member: channel.good}),
            400,
            "missing idempotencyKey",
        ),
        case("not JSON", b"{", 400, "invalid JSON body", signature="00"),
        case("not an object", b"[]", 400, "invalid JSON body", signature="00"),
        case("a malformed record", envelope("bad", channel.bad), 400, expect={"status": "rejected"}),
        case("no signature", plain, 401, f"missing {SIGNATURE_HEADER} or {TIMESTAMP_HEADER}", signature=" "),
    ]


def _signature(secret: str, body: bytes) -> str:
    try:
        return sign(secret, parse(body))
    except ValueError:
        return "00"
