"""Traces: one chat is one trace, across HTTP, the queue and the ledger (W3C Trace Context).

The context travels whether or not anything is recorded: it names the trace in logs and events. Spans are
recorded only where an exporter is configured, and OpenTelemetry is imported only then (`otlp.py`).
"""

import re
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from msgspec import Struct

HEADER = "traceparent"
SpanKind = Literal["server", "client", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int | float | bool]

# Version 00 with its four fields; what later versions append is ignored, as the specification asks.
_TRACEPARENT = re.compile(r"\A([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z", re.ASCII)
_SAMPLED = 0x01


class TraceContext(Struct, frozen=True):
    """Where in which trace we are; ids are lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """The context as the header has it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Span(Protocol):
    """A piece of work while it goes on."""

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Say something about the work."""
        ...

    def rename(self, name: str) -> None:
        """Say what the work is, where that shows only while it goes on."""
        ...


class Recorder(Protocol):
    """Records spans; there is one only where an exporter is configured."""

    def start(
        self, name: str, kind: SpanKind, parent: TraceContext | None, attributes: Attributes
    ) -> "RecordedSpan":
        """Begin a span below a parent, or a new trace without one."""
        ...

    def flush(self, seconds: float) -> None:
        """Send what waits, within a time."""
        ...


class RecordedSpan(Span, Protocol):
    """A span that is recorded."""

    @property
    def context(self) -> TraceContext:
        """Its place in the trace."""
        ...

    def end(self, error: BaseException | None) -> None:
        """End it, with the error that ended the work, if one did."""
        ...


class _Unrecorded:
    def set(self, name: str, value: str | int | float | bool) -> None:
        """Nobody listens."""

    def rename(self, name: str) -> None:
        """Nobody listens."""


_UNRECORDED = _Unrecorded()
_current: ContextVar[TraceContext | None] = ContextVar("ironclaw_trace", default=None)
_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> None:
    """Have spans recorded from now on, or no longer."""
    global _recorder  # noqa: PLW0603 - one exporter a process
    _recorder = recorder


def flush(seconds: float) -> None:
    """Send what waits to be exported; blocks for up to some seconds."""
    if _recorder is not None:
        _recorder.flush(seconds)


def parse_traceparent(text: str | None) -> TraceContext | None:
    """Return the context in a `traceparent`; None when it is none, as the specification asks."""
    match = _TRACEPARENT.match(text) if text else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    if not int(match[2], 16) or not int(match[3], 16):
        return None
    return TraceContext(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def current() -> TraceContext | None:
    """Return the trace that we are in, if any."""
    return _current.get()


def current_traceparent() -> str | None:
    """Return the trace that we are in as a header has it, if any."""
    context = _current.get()
    return context.traceparent if context is not None else None


def outgoing_context() -> dict[str, str]:
    """Return the header that carries the current trace to another service."""
    context = _current.get()
    return {HEADER: context.traceparent} if context is not None else {}


@contextmanager
def span(
    name: str,
    kind: SpanKind = "internal",
    *,
    parent: str | None = None,
    begin: bool = False,
    attributes: Attributes | None = None,
) -> Generator[Span]:
    """Do a piece of work under a span.

    Its parent is the context in `parent` (a traceparent), else the current one. Without either there is no
    span, unless `begin` says that a trace begins here.
    """
    above = parse_traceparent(parent) or _current.get()
    if above is None and not begin:
        yield _UNRECORDED
        return
    if _recorder is None:
        token = _current.set(above or TraceContext(secrets.token_hex(16), secrets.token_hex(8), False))
        try:
            yield _UNRECORDED
        finally:
            _current.reset(token)
        return
    recorded = _recorder.start(name, kind, above, attributes or {})
    token = _current.set(recorded.context)
    error: BaseException | None = None
    try:
        yield recorded
    except BaseException as raised:
        error = raised
        raise
    finally:
        _current.reset(token)
        recorded.end(error)
