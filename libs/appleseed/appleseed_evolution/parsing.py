"""Payloads into envelopes: one envelope, one bare event, a list of either, or a batch; all or nothing.

Every complaint names the item and the member. Time and ids come in as arguments.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from appleseed_evolution.contract import (
    CONTRACT_NAME,
    CONTRACT_VERSION,
    ENVELOPE_MEMBERS,
    EVENT_KINDS,
    EVENT_MEMBERS,
    SCHEMA_VERSION,
    STATUSES,
    Envelope,
    Event,
    Feedback,
)
from appleseed_evolution.fields import Members
from appleseed_evolution.jsontext import JsonObject
from ironclaw_contracts.errors import BadRequest

NewId = Callable[[], str]
_NOT_OF_AN_EVENT = frozenset({"source", "contract_name", "contract_version"})


class _Defaults(Struct, frozen=True):
    """What a batch says for each of its items."""

    source: str | None = None
    metadata: JsonObject = {}


_NO_DEFAULTS = _Defaults()


def parse_payload(payload: Any, *, now: datetime, new_id: NewId) -> tuple[Envelope, ...]:
    """Return the envelopes of a payload, in order.

    `now` and `new_id` fill in the instants and ids that the sender left out. Raises `BadRequest` for the
    first item that is wrong: then none of the payload counts.
    """
    if isinstance(payload, list):
        items, where, defaults = payload, "", _NO_DEFAULTS
    elif isinstance(payload, dict) and "events" in payload and "event" not in payload:
        batch = Members(payload, "")
        _check_contract(batch)
        items, where = batch.items("events"), "events"
        defaults = _Defaults(batch.optional_text("source"), batch.object("metadata"))
    else:
        return (parse_item(payload, "", now=now, new_id=new_id),)
    if not items:
        raise BadRequest(f"{where or 'the payload'} is an empty list: send at least one event")
    return tuple(
        parse_item(item, f"{where}[{index}]", now=now, new_id=new_id, defaults=defaults)
        for index, item in enumerate(items)
    )


def parse_item(
    item: Any, where: str, *, now: datetime, new_id: NewId, defaults: _Defaults = _NO_DEFAULTS
) -> Envelope:
    """Return one item as an envelope. Raises `BadRequest` with `where` before the member's name."""
    members = Members(item, where)
    _check_contract(members)
    is_envelope = "event" in item
    event = Members(members.given("event"), members.path("event")) if is_envelope else members
    given_source = members.optional_text("source")
    source = defaults.source if given_source is None else given_source
    if source is None or not source.strip():
        raise BadRequest(f"{members.path('source')} is required: give a non-blank string")
    return Envelope(
        contract_name=CONTRACT_NAME,
        contract_version=CONTRACT_VERSION,
        envelope_id=_id(members, "envelope_id", new_id) if is_envelope else new_id(),
        recorded_at=(members.optional_instant("recorded_at") if is_envelope else None) or now.isoformat(),
        source=source,
        metadata={**defaults.metadata, **members.object("metadata")},
        event=_parse_event(
            event, EVENT_MEMBERS if is_envelope else EVENT_MEMBERS | _NOT_OF_AN_EVENT, now, new_id
        ),
        unknown=members.unknown(ENVELOPE_MEMBERS) if is_envelope else {},
    )


def parse_feedback(value: Any) -> Feedback:
    """Return feedback that an operator gives directly. Raises `BadRequest` naming the member."""
    return _feedback(Members(value, ""))


def _feedback(members: Members) -> Feedback:
    comment = members.optional_text("comment")
    return Feedback(
        session_id=members.text("session_id"),
        task=members.text("task"),
        status=members.choice("status", STATUSES),
        score=members.score("score"),
        comment=UNSET if comment is None else comment,
        steps=members.texts("steps"),
        selected_skill_ids=members.texts("selected_skill_ids"),
        missing_capabilities=members.texts("missing_capabilities"),
        metadata=members.object("metadata"),
    )


def _parse_event(members: Members, known: frozenset[str], now: datetime, new_id: NewId) -> Event:
    kind = members.choice("event_kind", EVENT_KINDS)
    if kind == "session_feedback":
        feedback = _feedback(members)
        status, score, comment = feedback.status, feedback.score, feedback.comment
    else:
        status = score = comment = UNSET
        # Members of feedback have no meaning here, so they are kept as any unknown one is.
        known = known - {"status", "score", "comment"}
    return Event(
        schema_version=members.exact("schema_version", SCHEMA_VERSION),
        event_id=_id(members, "event_id", new_id),
        event_kind=kind,
        occurred_at=members.optional_instant("occurred_at") or now.isoformat(),
        session_id=members.text("session_id"),
        task=members.text("task"),
        status=status,
        score=score,
        comment=comment,
        steps=members.texts("steps"),
        selected_skill_ids=members.texts("selected_skill_ids"),
        missing_capabilities=members.texts("missing_capabilities"),
        metadata=members.object("metadata"),
        unknown=members.unknown(known),
    )


def _check_contract(members: Members) -> None:
    members.exact("contract_name", CONTRACT_NAME)
    members.exact("contract_version", CONTRACT_VERSION)


def _id(members: Members, name: str, new_id: NewId) -> str:
    return new_id() if members.given(name) is None else members.text(name)
