"""Finds secrets in added lines: tokens in formats that their issuers publish, keys, random values. Pure.

A finding never holds the secret. What is known to be harmless is allowed by fingerprint, in a list that the
caller keeps on the mainline: a remark in the scanned text allows nothing, because whoever leaks may write it.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

LINE_CHARS_MAX = 20_000
"""Of a longer line the rest is looked at in further pieces, which overlap."""
_OVERLAP_CHARS = 1_000

# Formats as documented by their issuers; the first group, where there is one, is the secret itself.
_FORMATS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "private key": r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        "AWS access key": r"\b((?:AKIA|ASIA)[A-Z0-9]{16})\b",
        "GitHub token": r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
        "GitLab token": r"\b(gl(?:pat|dt|rt|ptt|oas)-[A-Za-z0-9_-]{20,64})(?![A-Za-z0-9_-])",
        "Slack token": r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,250})\b",
        "Slack webhook": r"https://hooks\.slack\.com/services/(T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,})",
        "Stripe key": r"\b((?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255})\b",
        "Google API key": r"\b(AIza[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])",
        "IronClaw API key": r"\b(ick_[A-Za-z0-9]{4,32}_[A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])",
        "model provider key": r"\b(sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{32,255})(?![A-Za-z0-9_-])",
        "Hugging Face token": r"\b(hf_[A-Za-z0-9]{30,100})\b",
        "npm token": r"\b(npm_[A-Za-z0-9]{36})\b",
        "PyPI token": r"\b(pypi-AgE[A-Za-z0-9_-]{50,})(?![A-Za-z0-9_-])",
        "SendGrid key": r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])",
        "DigitalOcean token": r"\b(do[opr]_v1_[a-f0-9]{64})\b",
        "Telegram bot token": r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])",
        "Azure storage key": r"AccountKey=([A-Za-z0-9+/]{86}==)",
        "JSON web token": r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})",
        "password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,100}:([^\s/:@'\"]{6,200})@[\w.-]+",
    }.items()
}
_ASSIGNED = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credential)s?"
    r"[\"']?\s{0,5}(?:=>|:=|=|:)\s{0,5}[brfu]{0,2}[\"'`]?([A-Za-z0-9+/=_.~!@#$%^&*-]{16,200})"
)
_BITS_PER_CHAR_MIN = 3.4
"""Below it a value reads as words or a pattern. Random base64 of 20 characters has about 4.1, hex 3.5."""
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|changeme|your[_-]|dummy|redacted|\$\{|\{\{|<[a-z]|x{6,}|\*{3,}"
)
_REFERENCE = re.compile(r"\A[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)+\Z|\A[a-z_]+\Z|\A[A-Z_]+\Z")


class Finding(Struct, frozen=True, kw_only=True):
    """One secret. `fingerprint` names its value without telling it; `hint` is its length and start."""

    path: str
    line: int
    rule: str
    fingerprint: str
    hint: str


def fingerprint(secret: str) -> str:
    """Return the name under which a value can be allowed: the start of its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def scan(path: str, lines: Iterable[tuple[int, str]], allowed: Collection[str] = ()) -> list[Finding]:
    """Return what is found in numbered lines of a file, once per line and value.

    `allowed` are fingerprints of values known to be harmless.
    """
    found: dict[tuple[int, str], Finding] = {}
    for number, line in lines:
        for rule, secret in _secrets(line):
            name = fingerprint(secret)
            if name not in allowed and (number, name) not in found:
                hint = f"{len(secret)} characters, {secret[:4]}…"
                found[number, name] = Finding(path=path, line=number, rule=rule, fingerprint=name, hint=hint)
    return list(found.values())


def _secrets(line: str) -> Iterator[tuple[str, str]]:
    for piece in _pieces(line):
        for rule, pattern in _FORMATS.items():
            for match in pattern.finditer(piece):
                secret = match.group(match.lastindex or 0)
                if rule != "password in an address" or not _PLACEHOLDER.search(secret):
                    yield rule, secret
        for match in _ASSIGNED.finditer(piece):
            if _looks_random(match.group(1)):
                yield "assigned secret", match.group(1)


def _pieces(line: str) -> Iterator[str]:
    for start in range(0, max(len(line), 1), LINE_CHARS_MAX):
        yield line[start : start + LINE_CHARS_MAX + _OVERLAP_CHARS]


def _looks_random(value: str) -> bool:
    """Tell a value from a placeholder, a word and a reference to a variable."""
    if _PLACEHOLDER.search(value) or _REFERENCE.match(value):
        return False
    digits, letters = any(map(str.isdigit, value)), any(map(str.isalpha, value))
    return digits and letters and bits_per_char(value) >= _BITS_PER_CHAR_MIN


def bits_per_char(value: str) -> float:
    """Return the Shannon entropy of a value's characters."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
