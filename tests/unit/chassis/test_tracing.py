"""The W3C trace context: what is taken, what is passed on, and what costs nothing when nobody records."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ironclaw_chassis.tracing import current, outgoing_context, parse_traceparent, span

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00",
        GIVEN.upper(),
        GIVEN + "\n",
        GIVEN + "-extra",
        "ff" + GIVEN[2:],
        GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GIVEN.replace("00f067aa0ba902b7", "0" * 16),
        GIVEN.replace("4bf9", "zzzz"),
        "00-" + "a" * 33 + "-00f067aa0ba902b7-01",
    ],
)
def test_given_a_malformed_traceparent_when_parsed_then_it_is_none(bad: str) -> None:
    assert parse_traceparent(bad) is None


def test_given_a_traceparent_when_parsed_then_it_is_itself_again() -> None:
    found = parse_traceparent(GIVEN)
    assert found is not None and found.traceparent == GIVEN and found.sampled
    later = parse_traceparent("01" + GIVEN[2:] + "-of-the-future")
    assert later is not None and later.trace_id == found.trace_id


def test_given_no_recorder_when_a_span_has_a_parent_then_the_context_passes_through() -> None:
    with span("work", parent=GIVEN):
        assert outgoing_context() == {"traceparent": GIVEN}
        with span("below"):
            assert outgoing_context() == {"traceparent": GIVEN}
    assert current() is None and outgoing_context() == {}


def test_given_no_parent_when_work_is_done_then_there_is_a_trace_only_where_one_begins() -> None:
    with span("work"):
        assert current() is None
    with span("work", begin=True):
        found = current()
        assert found is not None and not found.sampled
    assert current() is None


async def test_given_tasks_at_once_when_each_has_its_trace_then_they_do_not_mix() -> None:
    async def work(number: int) -> str:
        with span("work", parent=f"00-{number:032x}-{number:016x}-01"):
            await asyncio.sleep(0)
            found = current()
            return found.trace_id if found is not None else ""

    assert await asyncio.gather(*map(work, range(1, 50))) == [f"{n:032x}" for n in range(1, 50)]


def test_given_a_registry_when_told_as_otlp_then_counts_between_bounds_add_up() -> None:
    from opentelemetry.sdk.metrics import export as sdk

    from ironclaw_chassis.otlp_metrics import data_of

    registry = CollectorRegistry()
    Counter("jobs", "d", ("kind",), registry=registry).labels("a").inc(3)
    Gauge("depth", "d", registry=registry).set(7)
    seconds = Histogram("took_seconds", "d", registry=registry, buckets=(1, 2, 5))
    for value in (0.5, 1.5, 1.6, 9.0):
        seconds.observe(value)
    Counter("never", "d", ("kind",), registry=registry)
    told = {metric.name: metric.data for metric in data_of(registry.collect(), 1, 2)}
    assert set(told) == {"jobs", "depth", "took_seconds"}
    jobs, depth, took = told["jobs"], told["depth"], told["took_seconds"]
    assert isinstance(jobs, sdk.Sum) and jobs.is_monotonic and jobs.data_points[0].value == 3
    assert jobs.data_points[0].attributes == {"kind": "a"}
    assert isinstance(depth, sdk.Gauge) and depth.data_points[0].value == 7
    assert isinstance(took, sdk.Histogram)
    point = took.data_points[0]
    assert (point.count, point.sum) == (4, 12.6)
    assert list(point.bucket_counts) == [1, 2, 0, 1] and list(point.explicit_bounds) == [1, 2, 5]
