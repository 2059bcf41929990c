"""gates.toml: what may stand there, and what changes a gate's name in the cache."""

import msgspec
import pytest

from ironclaw_integration.definition import BadGates, Gates, definition_hash, parse_gates

ONE = '[[gate]]\nname = "tests"\nrun = ["pytest"]\nplanted = { path = "a.py", content = "x" }\n'


def test_given_no_file_when_parsed_then_the_defaults_hold_and_secrets_are_sought() -> None:
    gates = parse_gates(None)
    assert gates == Gates() and gates.secrets.scan and not gates.gate


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE.replace("planted", "plantd"), "plantd"),
        (ONE.replace(', content = "x"', ""), "planted"),
        (ONE.replace('content = "x"', 'content = "x", remove = true'), "planted"),
        (ONE.replace('"a.py"', '"../a.py"'), "path"),
        (ONE.replace("tests", "size"), "gate[0].name"),
        (ONE + ONE, "gate[0].name"),
        (ONE.replace('["pytest"]', '"pytest"'), "run"),
        (ONE.replace('["pytest"]', "[]"), "run"),
        (ONE + 'counted = "("\n', "counted"),
        (ONE + 'counted = "tests"\n', "counted"),
        (ONE + "retries = 99\n", "retries"),
        ("[merge]\nbatch = 0\n", "batch"),
        ("[secrets]\nallowed = ['AKIA']\n", "allowed"),
        ("[[gate]]\n", "name"),
        ("not toml at all =", ".ironclaw/gates.toml"),
        ("\xff\xfe", ".ironclaw/gates.toml"),
    ],
)
def test_given_a_file_that_makes_no_sense_when_parsed_then_the_field_is_named(text: str, said: str) -> None:
    with pytest.raises(BadGates) as caught:
        parse_gates(text.encode("latin-1"))
    assert said in str(caught.value)


def test_given_a_gate_when_anything_of_it_changes_then_its_name_in_the_cache_does() -> None:
    (gate,) = parse_gates(ONE.encode()).gate
    changes = {"run": ["pytest", "-q"], "retries": 1, "folder": "x", "kind": "tests", "tests_min": 2}
    names = {definition_hash(msgspec.structs.replace(gate, **{k: v})) for k, v in changes.items()}
    assert len(names | {definition_hash(gate)}) == len(changes) + 1
    assert definition_hash(gate) == definition_hash(parse_gates(ONE.encode()).gate[0])
