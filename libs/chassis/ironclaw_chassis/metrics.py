"""Figures of a process, in Prometheus' form: what every service counts, and how others add their own.

A service's own metrics stand in its `metrics.py`. Names end in their unit; a gauge that has to be read from
somewhere is set by a reader just before it is told.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ironclaw_contracts.errors import Problem

log = structlog.get_logger()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds for what answers a call."""
SLOW_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Bounds for what a model or a command does."""

Reading = Callable[[], Awaitable[None]]
"""Sets gauges from what it looks up. Raises `Problem` when that is away."""

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    """Return a counter; its name ends in `_total`."""
    return Counter(name, documentation, labels, registry=REGISTRY)


def gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """Return a gauge."""
    return Gauge(name, documentation, labels, registry=REGISTRY)


def histogram(
    name: str, documentation: str, labels: Sequence[str] = (), bounds: Sequence[float] = FAST_SECONDS
) -> Histogram:
    """Return a histogram of seconds, or of what its name says."""
    return Histogram(name, documentation, labels, registry=REGISTRY, buckets=bounds)


REQUEST_SECONDS = histogram(
    "ironclaw_http_request_seconds", "Time to answer a request, streams left out.", ("endpoint", "status")
)
RECONCILED = counter(
    "ironclaw_reconciled_total", "Keys that a reconciler worked on.", ("reconciler", "outcome")
)
RECONCILE_WAITING = gauge("ironclaw_reconcile_waiting", "Keys that wait for a reconciler.", ("reconciler",))
LOOP_FAILURES = counter("ironclaw_loop_failures_total", "Failed rounds of a background loop.", ("loop",))
UNREADABLE = counter(
    "ironclaw_metrics_unreadable_total", "Readings of gauges that failed: what they read was away."
)


async def exposition(readings: Sequence[Reading]) -> bytes:
    """Return every figure of this process as Prometheus reads it; gauges whose source is away keep theirs."""
    for read in readings:
        try:
            await read()
        except Problem as error:
            UNREADABLE.inc()
            log.warning("gauges not read", reason=error.message)
    return generate_latest(REGISTRY)
