"""Bodies are decoded once, strictly, and refused with the field's path."""

from typing import Any

import msgspec
import pytest

from ironclaw_chassis.decoding import decode_body, refuse_nul
from ironclaw_contracts.endpoints.api_gateway import ChatRequest
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.events import NewEvent

CHAT = msgspec.json.Decoder(ChatRequest)
EVENT = msgspec.json.Decoder(NewEvent)


def test_given_unknown_members_when_decoded_then_they_are_ignored() -> None:
    assert decode_body(b'{"message": "x", "of_the_future": 1}', CHAT).message == "x"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"message": 5}', r"\$\.message"),
        (b'{"message": "x", "budget": {"max_orders": 0}}', r"\$\.budget\.max_orders"),
        (b'{"message": "x", "run_id": "../x"}', r"\$\.run_id"),
        (b'{"message": "x", "run_id": "abc\\n"}', r"\$\.run_id"),
        (b'{"message": "a\\u0000b"}', r"NUL character at \$\.message"),
        (b'{"message": "\xff"}', "what this endpoint takes"),
        (b"[" * 100_000, "what this endpoint takes|nested"),
    ],
)
def test_given_a_bad_body_when_decoded_then_the_error_names_the_place(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        decode_body(body, CHAT)


def test_given_a_backslash_before_u0000_when_decoded_then_it_is_no_nul() -> None:
    assert decode_body(b'{"message": "\\\\u0000"}', CHAT).message == "\\u0000"


def test_given_a_time_that_is_a_number_when_decoded_then_it_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"\$\.ts"):
        decode_body(b'{"type": "PATROL_TICK", "ts": 0}', EVENT)


def test_given_deep_nesting_in_a_payload_when_decoded_then_it_is_refused() -> None:
    body = b'{"type": "PATROL_TICK", "payload": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}"
    with pytest.raises(BadRequest, match="nested deeper"):
        decode_body(body, EVENT)


def test_given_nul_in_a_key_when_sought_then_it_is_found() -> None:
    with pytest.raises(BadRequest):
        refuse_nul({"a": [{"b\x00": 1}]})


@pytest.mark.parametrize("text", ['"]}"', r'"\"}}}}"', r'"\\"', '"{[{["'])
def test_given_brackets_in_strings_when_a_body_is_too_deep_then_it_is_refused_all_the_same(text: str) -> None:
    deep = (f"[{text}," * 70 + "1" + "]" * 70).encode()
    with pytest.raises(BadRequest, match="nested deeper"):
        decode_body(deep, msgspec.json.Decoder(list[Any]))
    wide = ("[" + ",".join([f"[{text}]"] * 200) + "]").encode()
    assert len(decode_body(wide, msgspec.json.Decoder(list[Any]))) == 200
