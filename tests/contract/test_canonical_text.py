"""Trimming as ECMAScript does it, against Node's own `String.prototype.trim`."""

import json
import subprocess

import pytest

from ironclaw_contracts.canonical_text import trim
from tests.contract.test_canonical import NODE, needs_node

SCRIPT = """
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(t => t.trim())));
"""


@needs_node
@pytest.mark.trust
def test_given_every_character_around_a_text_when_trimmed_then_node_trims_the_same() -> None:
    assert NODE is not None
    texts = [f"{chr(code)}a{chr(code)}b{chr(code)}" for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    done = subprocess.run(
        [NODE, "-e", SCRIPT], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    assert [trim(text) for text in texts] == json.loads(done.stdout)


def test_given_white_space_that_only_one_language_knows_when_trimmed_then_it_is_ecmascripts() -> None:
    assert trim("\ufeff k \u2003") == "k"
    assert trim("k\x1f") == "k\x1f" and trim("k\x85") == "k\x85"
