"""Check a foreign sender: its own program signs each published case, and hears what it got wrong.

The program reads a body on its standard input, as it is to be sent, and prints the signature; the secret is
in MILESTONE_SIGNING_SECRET. Signatures tell nothing by themselves, so those of usual mistakes are tried.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator, Sequence

from ironclaw_contracts.canonical import NotJson, ecmascript, jcs, parse
from ironclaw_fleet.conformance.case import Outcome
from ironclaw_fleet.conformance.corners import CORNERS

_SECRET = "636c65662d736563726574"  # noqa: S105 - everybody may know it
"""A secret that is hex as well: who decodes it first is found out."""
_SECONDS = 30.0
_ENVELOPE = (
    '{"sentAtUtc":"2026-02-28T12:34:56.000Z","idempotencyKey":"conformance-%d","event":{"milestoneId":"m.1",'
    '"timestampUtc":"2026-02-28T12:34:56.000Z","scope":"conformance","claim":"A sender is being checked.",'
    '"evidence":[{"type":"log","path":"conformance","summary":"this run"}],"riskStatus":"on-track",'
    '"nextAction":"None."}%s}'
)


def bodies() -> Iterator[tuple[str, str]]:
    """Return each case's name and body."""
    yield "a plain record, its keys not in order", _ENVELOPE % (0, "")
    for number, (name, member) in enumerate(CORNERS.items(), 1):
        yield name, _ENVELOPE % (number, f",{member}")


def check_sender(command: Sequence[str]) -> list[Outcome]:
    """Run a signer for each case. Blocks while it runs; a program that cannot be started is a fault too."""
    environment = os.environ | {"MILESTONE_SIGNING_SECRET": _SECRET}
    outcomes: list[Outcome] = []
    for name, body in bodies():
        try:
            done = subprocess.run(
                list(command),
                input=body.encode(),
                capture_output=True,
                timeout=_SECONDS,
                env=environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            outcomes.append(Outcome(name, f"the program did not run: {error}"))
            continue
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            outcomes.append(Outcome(name, f"the program ended with {done.returncode}: {said}"))
        else:
            outcomes.append(Outcome(name, fault_of(body, done.stdout.decode(errors="replace").strip())))
    return outcomes


def fault_of(body: str, signature: str) -> str | None:
    """Return what is wrong with a signature over a body; None when it is right. Pure."""
    canonical = ecmascript(parse(body.encode()))
    right = _mac(_SECRET.encode(), canonical)
    if signature.lower() == right.hex():
        return None
    for mistake, wrong in _mistakes(body, canonical):
        if signature.lower() == wrong.lower():
            return f"{mistake}; what is signed is {canonical.decode()}"
    return f"printed {signature[:100]!r}, not {right.hex()}; what is signed is {canonical.decode()}"


def _mistakes(body: str, canonical: bytes) -> Iterator[tuple[str, str]]:
    """Return signatures that usual mistakes come to."""
    secret, value = _SECRET.encode(), json.loads(body)
    yield "the secret was decoded from hex", _mac(bytes.fromhex(_SECRET), canonical).hex()
    yield "the signature is in base64, not in hex", base64.b64encode(_mac(secret, canonical)).decode()
    yield "the body was signed as it is written", _mac(secret, body.encode()).hex()
    for mistake, text in {
        "the keys were not sorted": json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        "numbers and keys were printed as another language prints them": json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, sort_keys=True
        ),
        "what is not ASCII was escaped": json.dumps(value, separators=(",", ":"), sort_keys=True),
    }.items():
        yield mistake, _mac(secret, text.encode("utf-8", "surrogatepass")).hex()
    try:
        form = jcs(parse(body.encode()))
    except NotJson:
        return
    yield "index-like keys were not first: this is RFC 8785, not ECMAScript", _mac(secret, form).hex()


def _mac(secret: bytes, text: bytes) -> bytes:
    return hmac.new(secret, text, hashlib.sha256).digest()
