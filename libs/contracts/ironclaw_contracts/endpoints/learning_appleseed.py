"""The endpoints of the Appleseed contract, which field clients know; no envelope and no identity of ours."""

from ironclaw_contracts.endpoint import ANYONE, MIB, Endpoint, Method, Nothing
from ironclaw_contracts.enums import Service

AppleseedEndpoint = Endpoint[Nothing, Nothing, Nothing]


def _foreign(name: str, method: Method, path: str, summary: str) -> AppleseedEndpoint:
    return Endpoint(
        service=Service.LEARNING,
        name=name,
        method=method,
        path=path,
        summary=summary,
        answer=Nothing,
        body=Nothing,
        query=Nothing,
        callers=ANYONE,
        form="foreign",
        idempotent=False,
        body_bytes_max=8 * MIB,
    )


INGEST_EVENTS = _foreign(
    "ingest_events", "POST", "/v1/ingest", "Store runtime events and project their feedback."
)
GIVE_FEEDBACK = _foreign("give_feedback", "POST", "/v1/feedback", "Store an operator's own feedback.")
ROUTE_TASK = _foreign("route_task", "POST", "/v1/route", "Begin a session and name the skills for its task.")
LOCAL_HEALTH = _foreign("health", "GET", "/health", "Tell that `appleseed serve` runs.")
"""Of `appleseed serve` alone: a service of the fleet has a health of its own at that path."""
