"""The runtime event contract: envelopes, events, feedback and what is projected from them.

Source: the OpenClaw/Appleseed event contract 1.0. Instants stay the text that came, since they are evidence.
"""

from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from appleseed_evolution.jsontext import JsonObject

CONTRACT_NAME = "openclaw_appleseed.runtime_event"
CONTRACT_VERSION = "1.0"
SCHEMA_VERSION = "1.1"

EventKind = Literal["session_started", "session_feedback"]
Status = Literal["success", "failure", "partial", "cancelled", "unknown"]
EVENT_KINDS: tuple[EventKind, ...] = ("session_started", "session_feedback")
STATUSES: tuple[Status, ...] = ("success", "failure", "partial", "cancelled", "unknown")


class Feedback(Struct, frozen=True, kw_only=True):
    """How a session went. `score` is from 0 (worst) to 1."""

    session_id: str
    task: str
    status: Status
    score: float
    comment: str | UnsetType = UNSET
    steps: tuple[str, ...] = ()
    selected_skill_ids: tuple[str, ...] = ()
    missing_capabilities: tuple[str, ...] = ()
    metadata: JsonObject = {}


class Event(Struct, frozen=True, kw_only=True):
    """The body of an envelope. `status`, `score`, `comment` are feedback's; `unknown` is kept as it came."""

    schema_version: str
    event_id: str
    event_kind: EventKind
    occurred_at: str
    session_id: str
    task: str
    status: Status | UnsetType = UNSET
    score: float | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    steps: tuple[str, ...] = ()
    selected_skill_ids: tuple[str, ...] = ()
    missing_capabilities: tuple[str, ...] = ()
    metadata: JsonObject = {}
    unknown: JsonObject = {}


class Envelope(Struct, frozen=True, kw_only=True):
    """One normalised event envelope; `unknown` holds the members that the contract does not name."""

    contract_name: str
    contract_version: str
    envelope_id: str
    recorded_at: str
    source: str
    metadata: JsonObject
    event: Event
    unknown: JsonObject = {}


class ProjectionMetadata(Struct, frozen=True, kw_only=True):
    """Where and when the projected evidence arose."""

    runtime_source: str
    runtime_recorded_at: str
    runtime_occurred_at: str
    runtime_event_schema_version: str
    envelope_metadata: JsonObject


class ProjectedFeedbackRecord(Struct, frozen=True, kw_only=True):
    """Feedback that evolution may use, with the lineage to its envelope."""

    projection_id: str
    source_contract: str
    source_contract_version: str
    source_envelope_id: str
    source_event_id: str
    source_event_kind: EventKind
    projected_at: str
    feedback: Feedback
    projection_metadata: ProjectionMetadata


ENVELOPE_MEMBERS = frozenset(Envelope.__struct_fields__) - {"unknown"}
EVENT_MEMBERS = frozenset(Event.__struct_fields__) - {"unknown"}


def to_json(value: Struct) -> JsonObject:
    """Return a struct as the JSON object that is stored and answered: equal to what a reader of it gets."""
    return cast("JsonObject", _with_lists(msgspec.to_builtins(value)))


def _with_lists(value: Any) -> Any:
    """Return a value with its tuples as lists; msgspec leaves tuples as they are."""
    if isinstance(value, dict):
        return {name: _with_lists(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_lists(item) for item in value]
    return value


def envelope_to_json(envelope: Envelope) -> JsonObject:
    """Return an envelope as it is stored: unknown members stand beside the known ones again."""
    stored = to_json(envelope)
    for part in (stored, stored["event"]):
        part.update(part.pop("unknown"))
    return stored
