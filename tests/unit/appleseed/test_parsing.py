"""Payloads: what is taken, what is refused and why, and that nothing is changed on the way to the ledger."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appleseed_evolution.contract import envelope_to_json
from appleseed_evolution.jsontext import parse, to_line
from appleseed_evolution.parsing import parse_item, parse_payload
from appleseed_evolution.projection import project
from ironclaw_contracts.errors import BadRequest
from tests.support.appleseed import NOW, envelope, feedback_event, payloads, sample, values


def ids() -> Iterator[str]:
    return (f"id-{number}" for number in range(10**6))


def parsed(payload: Any) -> list[dict[str, Any]]:
    new_id = ids().__next__
    return [envelope_to_json(e) for e in parse_payload(payload, now=NOW, new_id=new_id)]


def refused(payload: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        parsed(payload)
    return caught.value.message


def test_given_the_contracts_envelope_when_parsed_then_nothing_of_it_changes() -> None:
    given_envelope = sample("runtime_events/sample_event.json")
    [found] = parsed(given_envelope)
    assert found.pop("event") == {**given_envelope.pop("event"), "steps": []}
    assert found == given_envelope


def test_given_the_contracts_batch_when_parsed_then_source_and_metadata_come_from_the_batch() -> None:
    started, feedback = parsed(sample("runtime_events/sample_batch.json"))
    assert started["source"] == feedback["source"] == "openclaw-local"
    assert started["metadata"] == {"operator": "local-demo"}
    assert "status" not in started["event"] and feedback["event"]["status"] == "failure"
    assert len({started["envelope_id"], feedback["envelope_id"], feedback["event"]["event_id"]}) == 3


def test_given_an_item_with_metadata_of_its_own_when_in_a_batch_then_it_wins_key_by_key() -> None:
    batch = {"source": "b", "metadata": {"a": 1, "b": 1}, "events": [envelope("s") | {"metadata": {"b": 2}}]}
    assert parsed(batch)[0]["metadata"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("form", [lambda e: e, lambda e: [e], lambda e: {"events": [e], "source": "b"}])
def test_given_each_form_when_parsed_then_one_envelope_comes_out(form: Any) -> None:
    assert len(parsed(form(feedback_event("s")))) == 1


def test_given_a_numeric_string_as_score_when_parsed_then_it_is_that_number() -> None:
    assert parsed(feedback_event("s", score=" 0.25 "))[0]["event"]["score"] == 0.25


def test_given_unknown_members_when_parsed_then_they_are_kept_where_they_were() -> None:
    sent = envelope("s", mood="good", unknown={"a": 1}) | {"via": "relay", "unknown": 7}
    [found] = parsed(sent)
    assert (found["via"], found["unknown"]) == ("relay", 7)
    assert (found["event"]["mood"], found["event"]["unknown"]) == ("good", {"a": 1})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": 1.01}, "score"),
        ({"score": -0.1}, "score"),
        ({"score": math.nan}, "score"),
        ({"score": "nan"}, "score"),
        ({"score": True}, "score"),
        ({"score": None}, "score is required"),
        ({"status": "great"}, "status"),
        ({"status": None}, "status is required"),
        ({"session_id": " "}, "session_id is required"),
        ({"session_id": 7}, "session_id must be a string"),
        ({"task": None}, "task is required"),
        ({"source": ""}, "source is required"),
        ({"event_kind": "session_ended"}, "event_kind"),
        ({"schema_version": "1.0"}, 'schema_version must be "1.1"'),
        ({"schema_version": 1.1}, 'schema_version must be "1.1"'),
        ({"contract_version": "2.0"}, 'contract_version must be "1.0"'),
        ({"contract_name": "other"}, "contract_name must be"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-03-13T18:22:39"}, "occurred_at"),
        ({"occurred_at": "2026-03-13"}, "occurred_at"),
        ({"occurred_at": "2026-03-13 18:22:39+00:00"}, "occurred_at"),
        ({"occurred_at": 1_700_000_000}, "occurred_at"),
        ({"steps": "one"}, "steps must be a list of strings"),
        ({"steps": [1]}, "steps must be a list of strings"),
        ({"metadata": []}, "metadata must be a JSON object"),
        ({"comment": 1}, "comment must be a string"),
    ],
)
def test_given_a_wrong_member_when_parsed_then_the_item_and_the_member_are_named(
    change: dict[str, Any], said: str
) -> None:
    assert said in refused(feedback_event("s", **change))
    message = refused({"events": [feedback_event("ok"), feedback_event("s", **change)]})
    assert "[1]" in message and said.split(maxsplit=1)[0] in message


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-13T18:22:39Z",
        "2026-03-13T18:22+01:00",
        "2026-03-13T18:22:39.123456789Z",
        "2026-03-13T18:22:39,5+0100",
        "20260313T182239-05",
    ],
)
def test_given_any_iso_8601_instant_with_a_zone_when_parsed_then_it_is_kept_as_it_came(text: str) -> None:
    [found] = parsed(feedback_event("s", occurred_at=text))
    assert found["event"]["occurred_at"] == text


@pytest.mark.parametrize(
    "payload", [[], {"events": []}, 7, "text", None, [3], {"events": "x"}, {"event": None, "source": "s"}, {}]
)
def test_given_no_event_at_all_when_parsed_then_it_is_refused(payload: Any) -> None:
    assert refused(payload)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b"1e999",
        b"[" * 100_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
    ],
)
def test_given_what_is_no_json_when_parsed_then_the_reason_is_said(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(raw)


def test_given_a_session_start_when_projected_then_nothing_enters_evolution() -> None:
    start = feedback_event("s", event_kind="session_started")
    for item in parse_payload(start, now=NOW, new_id=ids().__next__):
        assert project(item, now=NOW) is None


def test_given_feedback_when_projected_twice_then_lineage_and_id_are_the_same() -> None:
    [item] = parse_payload(envelope("s", comment="c"), now=NOW, new_id=ids().__next__)
    record, again = project(item, now=NOW), project(item, now=NOW)
    assert record is not None and record == again
    assert record.source_envelope_id == item.envelope_id and record.source_event_id == item.event.event_id
    assert record.feedback.comment == "c" and record.projection_metadata.runtime_source == "test"


@given(payloads)
def test_given_any_allowed_payload_when_stored_as_a_line_and_read_back_then_the_envelope_is_equal(
    payload: Any,
) -> None:
    for item in parse_payload(payload, now=NOW, new_id=ids().__next__):
        line = to_line(envelope_to_json(item))
        assert line.isascii() and "\n" not in line
        again = parse_item(parse(line.encode()), "", now=NOW, new_id=lambda: pytest.fail("an id is missing"))
        assert again == item


@given(payloads)
def test_given_any_allowed_payload_when_parsed_then_no_member_is_lost(payload: Any) -> None:
    given_items = payload if isinstance(payload, list) else payload.get("events", [payload])
    for sent, stored in zip(given_items, parsed(payload), strict=True):
        event = sent.get("event", sent)
        outside = {"source", "contract_name", "contract_version"}
        for name, value in event.items():
            if value is None or name in {"score", *outside}:
                continue
            assert stored["event"][name] == value, name
        for name, value in sent.items() if "event" in sent else ():
            if name not in {"event", "metadata"} and value is not None:
                assert stored[name] == value, name


@given(values)
def test_given_any_json_when_parsed_then_it_is_taken_or_refused_with_a_reason(value: Any) -> None:
    try:
        assert parsed(value)
    except BadRequest as error:
        assert error.message


@given(st.binary(max_size=60))
def test_given_any_bytes_when_parsed_then_they_are_taken_or_refused_with_a_reason(raw: bytes) -> None:
    try:
        json.dumps(parse(raw))
    except BadRequest as error:
        assert error.message
