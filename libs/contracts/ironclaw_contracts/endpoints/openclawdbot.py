"""The endpoints that foreign systems know (contract: milestones and demand); no envelope of ours."""

from typing import Any

from msgspec import Struct

from ironclaw_contracts.endpoint import ANYONE, KIB, Endpoint, Nothing
from ironclaw_contracts.endpoints.openclawdbot_proof import (
    ANNOUNCE,
    DECIDE_REVIEW,
    GET_INTENT,
    GET_REPUTATION,
    GET_VALIDATOR,
    HEARTBEAT,
    LIST_CAMPAIGN,
    LIST_NODES,
    LIST_REVIEWS,
    READ_AUDIT,
    REGISTER_NODE,
    RETIRE_KEY,
    STREAM_NODES,
)
from ironclaw_contracts.enums import Service


class FeedQuery(Struct, frozen=True):
    """`limit` is clamped to 1…50; what is no number means 20."""

    limit: str | None = None


def _foreign(
    name: str, method: Any, path: str, summary: str, query: type[Any] = Nothing
) -> Endpoint[Any, Any, Any]:
    return Endpoint(
        service=Service.OPENCLAWDBOT,
        name=name,
        method=method,
        path=path,
        summary=summary,
        body=Nothing,
        query=query,
        answer=bytes,
        callers=ANYONE,
        form="foreign",
        body_bytes_max=256 * KIB,
    )


INGEST_MILESTONE = _foreign(
    "ingest_milestone", "POST", "/internal/milestones/ingest", "Take a signed milestone in."
)
LATEST_MILESTONES = _foreign(
    "latest_milestones", "GET", "/api/milestones/latest", "The feed, newest first.", FeedQuery
)
MILESTONE_DEAD_LETTERS = _foreign(
    "milestone_dead_letters", "GET", "/api/milestones/dead-letter", "Rejected milestones, newest first."
)
STREAM_MILESTONES = Endpoint(
    service=Service.OPENCLAWDBOT,
    name="stream_milestones",
    method="GET",
    path="/api/milestones/stream",
    summary="Milestones as they are accepted; Last-Event-ID resumes.",
    body=Nothing,
    query=Nothing,
    answer=Nothing,
    callers=ANYONE,
    form="events",
)
INGEST_DEMAND = _foreign(
    "ingest_demand", "POST", "/internal/demand/ingest", "Take a signed demand summary in."
)
DEMAND_LIVE = _foreign("demand_live", "GET", "/api/command-center/demand-live", "The newest demand summary.")
DEMAND = _foreign("demand", "GET", "/api/command-center/demand", "The segments with their live signals.")
DEMAND_DEAD_LETTERS = _foreign(
    "demand_dead_letters",
    "GET",
    "/api/command-center/demand-dead-letter",
    "Rejected demand summaries, newest first.",
)
OVERVIEW = _foreign(
    "overview", "GET", "/api/command-center/overview", "The feed in figures, and its proof nodes."
)
CONTROL = _foreign("control", "GET", "/api/command-center/control", "What runs: services, theaters, engines.")
ENDPOINTS = (
    INGEST_MILESTONE,
    LATEST_MILESTONES,
    MILESTONE_DEAD_LETTERS,
    STREAM_MILESTONES,
    INGEST_DEMAND,
    DEMAND_LIVE,
    DEMAND,
    DEMAND_DEAD_LETTERS,
    OVERVIEW,
    CONTROL,
    ANNOUNCE,
    DECIDE_REVIEW,
    GET_INTENT,
    GET_REPUTATION,
    GET_VALIDATOR,
    HEARTBEAT,
    LIST_CAMPAIGN,
    LIST_NODES,
    LIST_REVIEWS,
    READ_AUDIT,
    REGISTER_NODE,
    RETIRE_KEY,
    STREAM_NODES,
)
