"""The kit for foreign senders: right programs pass every case, of wrong ones the mistake is named."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_contracts.canonical import ecmascript, parse
from ironclaw_fleet.conformance.sender import bodies

FIELD = """
const canon = v => Array.isArray(v) ? v.map(canon) : v && typeof v === 'object'
  ? Object.keys(v).sort().reduce((o, k) => { o[k] = canon(v[k]); return o }, {}) : v
const text = JSON.stringify(canon(JSON.parse(require('fs').readFileSync(0, 'utf8'))))
const mac = require('crypto').createHmac('sha256', process.env.MILESTONE_SIGNING_SECRET).update(text, 'utf8')
console.log(mac.digest('hex'))
"""
SIGNER = """
import base64, hashlib, hmac, json, os, sys
body = sys.stdin.buffer.read()
secret = os.environ["MILESTONE_SIGNING_SECRET"].encode()
value = json.loads(body)
{change}
print(hmac.new(secret, text, hashlib.sha256).hexdigest())
"""
SORTED = "text = json.dumps(value, sort_keys=True, separators=(',', ':'){0}).encode('utf-8', 'surrogatepass')"


def checked(*program: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "ironclaw_fleet", "conformance", "sender", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_given_the_signer_of_the_field_when_checked_then_it_passes_every_case(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (tmp_path / "sign.js").write_text(FIELD)
    code, said = checked("--", node, str(tmp_path / "sign.js"))
    assert code == 0 and "FAIL" not in said, said
    assert said.count("ok   ") == len(list(bodies())) == 13


@pytest.mark.parametrize(
    ("change", "case", "mistake"),
    [
        ("text = body", "a plain record", "the body was signed as it is written"),
        (
            "text = json.dumps(value, separators=(',', ':'), ensure_ascii=False).encode()",
            "a plain record",
            "the body was signed as it is written",
        ),
        (SORTED.format(", ensure_ascii=False"), "whole numbers", "numbers and keys were printed"),
        (SORTED.format(""), "text that is not ASCII", "what is not ASCII was escaped"),
        (
            "secret = bytes.fromhex(secret.decode())\n" + SORTED.format(""),
            "a plain record",
            "the secret was decoded from hex",
        ),
    ],
)
def test_given_a_signer_with_a_usual_mistake_when_checked_then_the_case_says_which(
    tmp_path: Path, change: str, case: str, mistake: str
) -> None:
    (tmp_path / "sign.py").write_text(SIGNER.replace("{change}", change))
    code, said = checked("--", sys.executable, str(tmp_path / "sign.py"))
    assert code == 1
    lines = said.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith(f"FAIL {case}"))
    assert mistake in lines[place + 1] and "what is signed is {" in lines[place + 1]


def test_given_a_program_that_fails_or_is_not_there_when_checked_then_that_is_said() -> None:
    assert "name the program" in checked()[1]
    code, said = checked("--", "/nowhere/at-all")
    assert code == 1 and "the program did not run" in said
    code, said = checked("--", sys.executable, "-c", "import sys; sys.exit('no key')")
    assert code == 1 and "ended with 1: no key" in said


def test_given_the_published_cases_when_read_then_each_is_changed_by_being_made_canonical() -> None:
    for name, body in bodies():
        assert ecmascript(parse(body.encode())) != body.encode(), name
