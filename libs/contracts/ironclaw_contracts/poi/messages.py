"""Parse and bound messages: I-JSON (RFC 7493), then the documented envelopes; each fault names its field."""

import hashlib
import json
import math
import re
from datetime import datetime
from typing import Any, Literal, NoReturn, cast, get_args

import msgspec
from msgspec import Struct, field

from ironclaw_contracts.canonical import NotJson, jcs
from ironclaw_contracts.instants import parse_instant
from ironclaw_contracts.poi.signatures import Signature

NodeRole = Literal["Planner", "Worker", "Judge", "CFO"]
ROLES: tuple[NodeRole, ...] = get_args(NodeRole)
STATUSES = ("online", "idle", "busy", "maintenance", "offline")
MESSAGE_BYTES_MAX = 256 * 1024
INTENT_BYTES_MAX = 64 * 1024
_DEPTH_MAX, _LIST_MAX, _STRING_BYTES_MAX = 32, 1_000, 8 * 1024
INTEGER_MAX = 2**53 - 1
_UUID = re.compile(r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
Object = dict[str, Any]


class BadMessage(ValueError):
    """The message is malformed; the text begins with the field."""


class Caller(Struct, frozen=True):
    agent_id: str
    role: NodeRole


class McpRequest(Struct, frozen=True):
    """The envelope that makes a message traceable."""

    request_id: str
    timestamp: str
    caller: Caller


class Announcement(Struct, frozen=True):
    """An intent as it was announced: `intent` as it was signed (`canonical`), `raw` the whole message."""

    request: McpRequest
    intent: Object
    canonical: bytes
    signature: Signature
    seq_no: int
    timestamp: datetime
    policy_version: str
    envelope_signature: Signature | None
    raw: Object

    @property
    def intent_id(self) -> str:
        """The intent's own id, the same in every version."""
        return self.intent["intent_id"]

    @property
    def version(self) -> int:
        """The intent's version, from 1."""
        return int(self.intent["intent_version"])

    @property
    def node_id(self) -> str:
        """The announcing node."""
        return self.intent["node_id"]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical intent."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def envelope(self) -> Object:
        """What an envelope signature covers."""
        return {name: value for name, value in self.raw.items() if name != "envelope_signature"}


class ActiveIntent(Struct, frozen=True):
    intent_id: str
    intent_hash: str
    intent_version: int


class Heartbeat(Struct, frozen=True):
    """A heartbeat as it was signed (`canonical`), and the parts of it that are judged."""

    request: McpRequest
    heartbeat: Object
    canonical: bytes
    signature: Signature
    node_id: str
    role: str
    status: str
    seq_no: int
    timestamp: datetime
    raw: Object
    active_intents: list[ActiveIntent] = field(default_factory=list[ActiveIntent])


def parse(raw: bytes) -> Object:
    """Parse a message as I-JSON within the contract's bounds. Raises `BadMessage`."""
    if len(raw) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"message: larger than {MESSAGE_BYTES_MAX} bytes")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadMessage(f"message: not JSON: {error}") from error
    except ValueError as error:
        raise BadMessage(f"message: {error}") from error
    if not isinstance(value, dict):
        raise BadMessage("message: send a JSON object")
    message = cast("Object", value)
    check_bounds(message)
    return message


def check_bounds(value: object, depth: int = 1, at: str = "message") -> None:
    """Raise `BadMessage` for what is too deep, too long, or has no canonical form."""
    if depth > _DEPTH_MAX:
        raise BadMessage(f"{at}: nested deeper than {_DEPTH_MAX}")
    match value:
        case str():
            _check_text(value, at)
        case bool() | None:
            return
        case int() if abs(value) > INTEGER_MAX:
            raise BadMessage(f"{at}: an integer beyond 2^53-1")
        case float() if not math.isfinite(value):
            raise BadMessage(f"{at}: a number beyond doubles")
        case list():
            listed = cast("list[object]", value)
            if len(listed) > _LIST_MAX:
                raise BadMessage(f"{at}: more than {_LIST_MAX} entries")
            for position, item in enumerate(listed):
                check_bounds(item, depth + 1, f"{at}[{position}]")
        case dict():
            for name, item in cast("Object", value).items():
                _check_text(name, at)
                check_bounds(item, depth + 1, name if at == "message" else f"{at}.{name}")
        case _:
            return


def read_announcement(message: Object) -> Announcement:
    """Return an announced intent. Raises `BadMessage` naming the field."""
    intent = _object(message, "intent")
    for name in ("intent_id", "node_id"):
        _uuid(intent, name, "intent")
    for name in ("campaign_ref", "action", "objective"):
        _text(intent, name, "intent")
    _instant(intent, "created_at", "intent")
    if "scheduled_for" in intent:
        _instant(intent, "scheduled_for", "intent")
    _integer(intent, "intent_version", "intent", least=1)
    previous = intent.get("previous_intent_hash")
    if previous is not None and not _is_sha256(previous):
        raise BadMessage("intent.previous_intent_hash: not 64 lower-case hex digits")
    if not isinstance(intent.get("parameters"), dict):
        raise BadMessage("intent.parameters: send an object")
    canonical = _canonical(intent, "intent")
    if len(canonical) > INTENT_BYTES_MAX:
        raise BadMessage(f"intent: its canonical form is larger than {INTENT_BYTES_MAX} bytes")
    envelope_signature = (
        _signature(message, "envelope_signature") if "envelope_signature" in message else None
    )
    return Announcement(
        request=_request(message),
        intent=intent,
        canonical=canonical,
        signature=_signature(message, "intent_signature"),
        seq_no=_integer(message, "seq_no", "message", least=0),
        timestamp=_instant(message, "timestamp", "message"),
        policy_version=_text(message, "policy_version", "message"),
        envelope_signature=envelope_signature,
        raw=message,
    )


def read_heartbeat(message: Object) -> Heartbeat:
    """Return a heartbeat. Raises `BadMessage` naming the field."""
    beat = _object(message, "heartbeat")
    role, status = beat.get("role"), beat.get("status")
    if role not in ROLES:
        raise BadMessage(f"heartbeat.role: one of {', '.join(ROLES)}")
    if status not in STATUSES:
        raise BadMessage(f"heartbeat.status: one of {', '.join(STATUSES)}")
    _number(beat, "uptime_seconds", "heartbeat", most=None)
    load = _object(beat, "load", "heartbeat")
    for name in ("cpu", "mem"):
        _number(load, name, "heartbeat.load", most=1.0)
    _integer(load, "pending_jobs", "heartbeat.load", least=0)
    _text(beat, "policy_version", "heartbeat")
    for name in ("mcp_connection", "metadata"):
        if name in beat:
            _object(beat, name, "heartbeat")
    campaigns = beat.get("campaign_refs", [])
    if not isinstance(campaigns, list) or not all(
        isinstance(ref, str) for ref in cast("list[object]", campaigns)
    ):
        raise BadMessage("heartbeat.campaign_refs: send a list of texts")
    active = beat.get("active_intents", [])
    if not isinstance(active, list):
        raise BadMessage("heartbeat.active_intents: send a list")
    return Heartbeat(
        request=_request(message),
        heartbeat=beat,
        canonical=_canonical(beat, "heartbeat"),
        signature=_signature(message, "signature"),
        node_id=_uuid(beat, "node_id", "heartbeat"),
        role=str(role),
        status=str(status),
        seq_no=_integer(beat, "seq_no", "heartbeat", least=0),
        timestamp=_instant(beat, "timestamp", "heartbeat"),
        raw=message,
        active_intents=[_active(item, n) for n, item in enumerate(cast("list[object]", active))],
    )


def _active(item: object, position: int) -> ActiveIntent:
    at = f"heartbeat.active_intents[{position}]"
    if not isinstance(item, dict):
        raise BadMessage(f"{at}: send an object")
    fields = cast("Object", item)
    if not _is_sha256(fields.get("intent_hash")):
        raise BadMessage(f"{at}.intent_hash: not 64 lower-case hex digits")
    return ActiveIntent(
        _uuid(fields, "intent_id", at),
        str(fields["intent_hash"]),
        _integer(fields, "intent_version", at, least=1),
    )


def _request(message: Object) -> McpRequest:
    fields = _object(message, "mcp_request")
    try:
        request = msgspec.convert(fields, McpRequest)
    except msgspec.ValidationError as error:
        raise BadMessage(f"mcp_request: {error}") from error
    _uuid(fields, "request_id", "mcp_request")
    _uuid(cast("Object", fields["caller"]), "agent_id", "mcp_request.caller")
    _instant(fields, "timestamp", "mcp_request")
    return request


def _signature(message: Object, name: str) -> Signature:
    try:
        return msgspec.convert(_object(message, name), Signature)
    except msgspec.ValidationError as error:
        raise BadMessage(f"{name}: {error}") from error


def _object(fields: Object, name: str, within: str = "") -> Object:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise BadMessage(f"{within + '.' if within else ''}{name}: send an object")
    return cast("Object", value)


def _canonical(value: Object, name: str) -> bytes:
    try:
        return jcs(value)
    except NotJson as error:
        raise BadMessage(f"{name}: {error}") from error


def _text(fields: Object, name: str, within: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadMessage(f"{within}.{name}: send a text")
    return value


def _uuid(fields: Object, name: str, within: str) -> str:
    value = _text(fields, name, within)
    if _UUID.match(value) is None:
        raise BadMessage(f"{within}.{name}: {value[:60]!r} is no UUID")
    return value


def _instant(fields: Object, name: str, within: str) -> datetime:
    found = parse_instant(fields.get(name))
    if found is None:
        raise BadMessage(f"{within}.{name}: not an RFC 3339 instant")
    return found


def _integer(fields: Object, name: str, within: str, *, least: int) -> int:
    value = fields.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= INTEGER_MAX:
        raise BadMessage(f"{within}.{name}: a whole number from {least} to 2^53-1")
    return value


def _number(fields: Object, name: str, within: str, *, most: float | None) -> None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadMessage(f"{within}.{name}: a number from 0")
    if most is not None and value > most:
        raise BadMessage(f"{within}.{name}: at most {most:g}")


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _check_text(text: str, at: str) -> None:
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BadMessage(f"{at}: half of a surrogate pair") from error
    if size > _STRING_BYTES_MAX:
        raise BadMessage(f"{at}: a text longer than {_STRING_BYTES_MAX} bytes")
    if "\x00" in text:
        raise BadMessage(f"{at}: a NUL character")


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
