"""What the Prometheus registry holds, as OTLP takes it. Pure.

The registry stays the one place where figures are kept, so that both ways out tell the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from opentelemetry.sdk.metrics import export as sdk
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

Labels = tuple[tuple[str, str], ...]


def data_of(families: Iterable[Metric], began_ns: int, now_ns: int) -> list[sdk.Metric]:
    """Return counters, gauges and histograms that have a point; times in nanoseconds since the epoch."""
    return [
        sdk.Metric(name=family.name, description=family.documentation, unit=family.unit, data=data)
        for family in families
        if (data := _data(family, began_ns, now_ns)) is not None and data.data_points
    ]


def _data(family: Metric, began_ns: int, now_ns: int) -> sdk.Sum | sdk.Gauge | sdk.Histogram | None:
    cumulative = sdk.AggregationTemporality.CUMULATIVE
    match family.type:
        case "counter":
            totals = [s for s in family.samples if s.name.endswith("_total")]
            points = [_number(s, began_ns, now_ns) for s in totals]
            return sdk.Sum(data_points=points, aggregation_temporality=cumulative, is_monotonic=True)
        case "gauge":
            return sdk.Gauge(data_points=[_number(s, now_ns, now_ns) for s in family.samples])
        case "histogram":
            points_of = _histograms(family.samples, began_ns, now_ns)
            return sdk.Histogram(data_points=points_of, aggregation_temporality=cumulative)
        case _:
            return None


def _number(sample: Sample, began_ns: int, now_ns: int) -> sdk.NumberDataPoint:
    return sdk.NumberDataPoint(
        attributes=dict(sample.labels),
        start_time_unix_nano=began_ns,
        time_unix_nano=now_ns,
        value=sample.value,
    )


def _histograms(samples: Sequence[Sample], began_ns: int, now_ns: int) -> list[sdk.HistogramDataPoint]:
    """Return a point for each set of labels; Prometheus counts up to a bound, OTLP between two."""
    buckets: defaultdict[Labels, list[tuple[float, int]]] = defaultdict(list)
    sums: dict[Labels, float] = {}
    for sample in samples:
        key = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            buckets[key].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    points: list[sdk.HistogramDataPoint] = []
    for key, found in buckets.items():
        counted = sorted(found)
        upto = [count for _, count in counted]
        points.append(
            sdk.HistogramDataPoint(
                attributes=dict(key),
                start_time_unix_nano=began_ns,
                time_unix_nano=now_ns,
                count=upto[-1],
                sum=sums.get(key, 0.0),
                bucket_counts=[count - before for count, before in zip(upto, [0, *upto[:-1]], strict=True)],
                explicit_bounds=[bound for bound, _ in counted[:-1]],
                min=0.0,
                max=0.0,
            )
        )
    return points
