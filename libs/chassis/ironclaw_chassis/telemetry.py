"""Traces: W3C context across HTTP and the queue. Spans are recorded only where an exporter is configured."""

import os

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind

from ironclaw_contracts.enums import Service

_TRACER = "ironclaw"


def configure_tracing(service: Service, version: str) -> None:
    """Export spans by OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise leave the no-op provider."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"ironclaw-{service.value}", "service.version": version})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def start_span(name: str, carrier: dict[str, str], kind: SpanKind) -> Span:
    """Start a span whose parent is in the carrier's `traceparent`, if it has one.

    Where nothing is recorded and no trace came along there is nothing to start.
    """
    if not carrier.get("traceparent") and "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        return trace.INVALID_SPAN
    return trace.get_tracer(_TRACER).start_span(name, context=propagate.extract(carrier), kind=kind)


def outgoing_context() -> dict[str, str]:
    """Return the headers that carry the current trace to another service or into a job."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier
