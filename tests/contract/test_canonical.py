"""Canonical JSON against worked cases, requests captured in the field, and Node's own JSON.stringify."""

import json
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ironclaw_contracts.canonical import NotJson, ecmascript, jcs, number, parse
from ironclaw_contracts.signing import is_signed, sign, split_secrets

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "hmac"
WORKED = json.loads((VECTORS / "hmac_canonical.json").read_text())
CAPTURED = json.loads((VECTORS / "hmac_captured.json").read_text())
FULL = bool(os.environ.get("IRONCLAW_TRUST_FULL"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed: apt-get install nodejs")
# What a field emitter does: parse, sort every object's keys, print. `jcs` is RFC 8785, section 3.2.3.
SCRIPT = """
const sort = v => Array.isArray(v) ? v.map(sort) : v && typeof v === 'object'
  ? Object.keys(v).sort().reduce((o, k) => { o[k] = sort(v[k]); return o; }, {}) : v;
const jcs = v => Array.isArray(v) ? '[' + v.map(jcs).join(',') + ']' : v && typeof v === 'object'
  ? '{' + Object.keys(v).sort().map(k => JSON.stringify(k) + ':' + jcs(v[k])).join(',') + '}' : JSON.stringify(v);
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const print = process.argv[1] === 'jcs' ? jcs : v => JSON.stringify(sort(v));
process.stdout.write(JSON.stringify(texts.map(t => print(JSON.parse(t)))));
"""


def node(texts: list[str], form: str) -> list[str]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", SCRIPT, form], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", WORKED, ids=[case["name"] for case in WORKED])
def test_given_a_worked_case_when_signed_then_canonical_text_and_signature_are_the_published_ones(
    case: dict[str, str],
) -> None:
    body = parse(case["body_text"].encode())
    assert ecmascript(body).decode() == case["canonical"]
    assert sign(case["secret"], body) == case["signature"]


@pytest.mark.parametrize(
    "case",
    [case for case in CAPTURED["vectors"] if "body_utf8" in case],
    ids=lambda case: case["name"],
)
def test_given_a_captured_request_when_verified_then_it_is_what_the_field_signed(
    case: dict[str, str],
) -> None:
    body = parse(case["body_utf8"].encode())
    assert ecmascript(body).decode() == case["canonical_utf8"]
    assert is_signed(case["signature_hex"].upper(), body, ["another", CAPTURED["secret"]])


@pytest.mark.parametrize("case", [c for c in CAPTURED["vectors"] if "body_hex" in c], ids=lambda c: c["name"])
def test_given_a_body_that_is_not_plain_utf8_when_parsed_then_it_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(NotJson):
        parse(bytes.fromhex(case["body_hex"]))


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b"[" * 200_000,
        b"{'a':1}",
        b"01",
        b"",
    ],
)
def test_given_what_json_parse_refuses_when_parsed_then_it_is_no_json(raw: bytes) -> None:
    with pytest.raises(NotJson):
        parse(raw)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53).map(float)
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(st.characters(), max_size=8) | st.integers(0, 2**32).map(str) | st.just("__proto__"),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@needs_node
@settings(max_examples=200 if FULL else 20, deadline=None)
@given(st.lists(values, min_size=20, max_size=100))
def test_given_random_values_when_printed_then_node_prints_the_same(batch: list[Any]) -> None:
    texts = [json.dumps(value) for value in batch]
    assert [ecmascript(parse(text.encode())).decode() for text in texts] == node(texts, "ecmascript")


@needs_node
@settings(max_examples=100 if FULL else 10, deadline=None)
@given(st.lists(values, min_size=20, max_size=100))
def test_given_random_values_when_printed_as_rfc_8785_then_node_prints_the_same(batch: list[Any]) -> None:
    def proper(value: Any) -> bool:
        text = json.dumps(value, ensure_ascii=False)
        return not any("\ud800" <= c <= "\udfff" for c in text) and "__proto__" not in text

    texts = [json.dumps(value) for value in batch if proper(value)]
    assert [jcs(parse(text.encode())).decode() for text in texts] == node(texts, "jcs")


@needs_node
@pytest.mark.trust
def test_given_ten_thousand_random_doubles_when_printed_then_node_prints_the_same() -> None:
    chance = random.Random(9)
    doubles: list[float] = [
        0.0,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        1e21,
        1e-6,
        1e-7,
        123456789012345680000.0,
    ]
    while len(doubles) < 10_000:
        (found,) = struct.unpack("<d", chance.randbytes(8))
        if found == found and abs(found) != float("inf"):
            doubles.append(found)
        doubles.append(float(f"{chance.randint(1, 10**17)}e{chance.randint(-30, 30)}"))
    texts = [repr(value) for value in doubles]
    assert [number(value) for value in doubles] == node(texts, "ecmascript")


@pytest.mark.trust
@pytest.mark.parametrize("case", WORKED, ids=[case["name"] for case in WORKED])
def test_given_every_bit_of_a_signed_body_and_its_signature_when_flipped_then_it_is_refused(
    case: dict[str, str],
) -> None:
    """Only another spelling of the same value may pass: `e` for `E`, or a digit beyond a double's."""
    body_text, secret, signature = case["body_text"].encode(), case["secret"], case["signature"]
    same = 0
    for position in range(len(body_text) * 8):
        flipped = bytearray(body_text)
        flipped[position // 8] ^= 1 << position % 8
        try:
            value = parse(bytes(flipped))
        except NotJson:
            continue
        if ecmascript(value) == case["canonical"].encode():
            assert json.loads(flipped, parse_int=float) == json.loads(body_text, parse_int=float)
            same += 1
            continue
        assert not is_signed(signature, value, [secret])
    assert same <= 10
    body = parse(body_text)
    for position in range(len(signature) * 8):
        flipped = bytearray(signature.encode())
        flipped[position // 8] ^= 1 << position % 8
        text = flipped.decode("latin-1")
        assert is_signed(text, body, [secret]) is (text.lower() == signature)


def test_given_a_list_of_secrets_when_one_is_rotated_then_any_verifies_and_the_newest_signs() -> None:
    secrets = split_secrets(" newest , older,")
    assert secrets == ["newest", "older"]
    body = {"a": 1.0}
    assert is_signed(sign("older", body), body, secrets)
    assert not is_signed(sign("gone", body), body, secrets)
    assert not is_signed("", body, secrets) and not is_signed(sign("older", body)[:-1], body, secrets)


@settings(max_examples=200, deadline=None)
@given(values)
def test_given_any_value_when_printed_by_the_fast_way_then_it_is_what_the_library_prints(value: Any) -> None:
    try:
        expected: bytes | None = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        expected = None
    if expected is None:
        with pytest.raises(NotJson):
            jcs(value)
    else:
        assert jcs(value) == expected
