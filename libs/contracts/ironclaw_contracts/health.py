"""Liveness, readiness and figures, the same in every service."""

from typing import Literal

from msgspec import Struct, field

from ironclaw_contracts.endpoint import ANYONE, OPERATORS, Endpoint, Nothing
from ironclaw_contracts.enums import Service


class HeartbeatSent(Struct, frozen=True):
    """The last heartbeat that the relay took."""

    seq_no: int
    timestamp: str
    status: str


class AckSeen(Struct, frozen=True):
    """The last ACK of the OpenClaw validator; the relay has checked its signature."""

    ack_id: str
    status: str
    received_at: str


class Health(Struct, frozen=True):
    """The process is up and its loops turn; `facts` is what the service found about its machine."""

    service: str
    status: Literal["ok"]
    version: str
    uptime_seconds: float
    last_heartbeat: HeartbeatSent | None = None
    last_ack: AckSeen | None = None
    facts: dict[str, str] = field(default_factory=dict[str, str])


class Readiness(Struct, frozen=True):
    """Whether the service can do its work now; `checks` says of each dependency `ok` or what is wrong."""

    ready: bool
    checks: dict[str, str]


def health_endpoint(service: Service) -> Endpoint[Nothing, Nothing, Health]:
    """Return the declaration of GET /health."""
    return Endpoint(
        service=service,
        name="health",
        method="GET",
        path="/health",
        summary="The process is up.",
        answer=Health,
        body=Nothing,
        query=Nothing,
        callers=ANYONE,
    )


def readiness_endpoint(service: Service) -> Endpoint[Nothing, Nothing, Readiness]:
    """Return the declaration of GET /ready: 200 when ready, else 503 with the failing checks."""
    return Endpoint(
        service=service,
        name="ready",
        method="GET",
        path="/ready",
        summary="The service and what it depends on can do their work.",
        answer=Readiness,
        body=Nothing,
        query=Nothing,
        callers=ANYONE,
    )


def metrics_endpoint(service: Service) -> Endpoint[Nothing, Nothing, bytes]:
    """Return the declaration of GET /metrics; at the gateway, which the outside reaches, it takes a key."""
    return Endpoint(
        service=service,
        name="metrics",
        method="GET",
        path="/metrics",
        summary="The figures of this process, in Prometheus' text form.",
        answer=bytes,
        body=Nothing,
        query=Nothing,
        callers=OPERATORS if service is Service.API_GATEWAY else ANYONE,
        form="bytes",
    )
