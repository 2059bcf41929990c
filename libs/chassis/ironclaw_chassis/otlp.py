"""Export by OTLP over HTTP: spans as they end, and the process's metrics at intervals.

Only where OTEL_EXPORTER_OTLP_ENDPOINT is set: importing this costs 0.2 s and 15 MB.
"""

import os
import socket
import threading
import time

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ironclaw_chassis import tracing
from ironclaw_chassis.metrics import REGISTRY
from ironclaw_chassis.otlp_metrics import data_of
from ironclaw_contracts.enums import Service

log = structlog.get_logger()

_SCOPE = "ironclaw"
_KINDS: dict[tracing.SpanKind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_METRIC_SECONDS = 60.0


def start_export(service: Service, version: str) -> None:
    """Export this process's spans and metrics from now on; the environment says where to (OTEL_*)."""
    resource = Resource.create(
        {
            "service.name": f"ironclaw-{service.value}",
            "service.namespace": "ironclaw",
            "service.version": version,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.record_with(OtlpRecorder(provider))
    seconds = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or _METRIC_SECONDS * 1000) / 1000
    threading.Thread(
        target=_export_metrics, args=(resource, seconds), name="otlp-metrics", daemon=True
    ).start()


class OtlpRecorder:
    """Records spans with the OpenTelemetry SDK; its sampler is what OTEL_TRACES_SAMPLER says."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(_SCOPE)

    def start(
        self,
        name: str,
        kind: tracing.SpanKind,
        parent: tracing.TraceContext | None,
        attributes: tracing.Attributes,
    ) -> "OtlpSpan":
        """Begin a span."""
        context = trace.set_span_in_context(NonRecordingSpan(_remote(parent))) if parent is not None else None
        return OtlpSpan(
            self._tracer.start_span(name, context=context, kind=_KINDS[kind], attributes=dict(attributes))
        )

    def flush(self, seconds: float) -> None:
        """Send what waits."""
        self._provider.force_flush(int(seconds * 1000))


class OtlpSpan:
    """A span of the SDK."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        found = span.get_span_context()
        self._context = tracing.TraceContext(
            f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled
        )

    @property
    def context(self) -> tracing.TraceContext:
        """Its place in the trace."""
        return self._context

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Say something about the work."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Say what the work is."""
        self._span.update_name(name)

    def end(self, error: BaseException | None) -> None:
        """End the span. Of an error only its type is told: messages may quote what was being worked on."""
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        self._span.end()


def _remote(context: tracing.TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags)


def _export_metrics(resource: Resource, seconds: float) -> None:
    exporter, began = OTLPMetricExporter(), time.time_ns()
    scope = InstrumentationScope(_SCOPE)
    while True:
        time.sleep(seconds)
        metrics = data_of(REGISTRY.collect(), began, time.time_ns())
        scoped = sdk.ScopeMetrics(scope=scope, metrics=metrics, schema_url="")
        told = sdk.ResourceMetrics(resource=resource, scope_metrics=[scoped], schema_url="")
        if exporter.export(sdk.MetricsData(resource_metrics=[told])) is not sdk.MetricExportResult.SUCCESS:
            log.warning("metrics not exported")
