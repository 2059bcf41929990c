"""A real OTLP receiver: HTTP with protobuf bodies, as a collector takes them, kept for a test to look at."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from msgspec import Struct
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Seen(Struct, frozen=True):
    """A span as it came; ids in hex, `parent` empty for a root."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, str]
    error: bool


class OtlpReceiver:
    """Listens while the context is open."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.metrics: dict[str, set[str]] = {}
        self.raw: list[bytes] = []
        self.headers: list[str] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(self.path, body, str(self.headers))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes, headers: str) -> None:
        with self._lock:
            self.raw.append(body)
            self.headers.append(headers)
            if path == "/v1/traces":
                self._spans(ExportTraceServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self._metrics(ExportMetricsServiceRequest.FromString(body))
            else:
                raise AssertionError(f"nothing is sent to {path}")

    def of_trace(self, trace_id: str) -> list[Seen]:
        with self._lock:
            return [span for span in self.spans if span.trace_id == trace_id]

    def _spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = next(
                a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Seen(
                            service=service,
                            name=span.name,
                            kind=span.kind,
                            trace_id=span.trace_id.hex(),
                            span_id=span.span_id.hex(),
                            parent=span.parent_span_id.hex(),
                            attributes={a.key: str(a.value) for a in span.attributes},
                            error=span.status.code == 2,
                        )
                    )

    def _metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            service = next(
                a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
            )
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    assert getattr(metric, kind).data_points, metric.name
                    self.metrics.setdefault(metric.name, set()).add(f"{service}:{kind}")
