"""What counts as a secret, and what must not. The samples are put together here, so that no file holds one."""

import time

import pytest

from ironclaw_sandbox import scan
from ironclaw_sandbox.secretscan import bits_per_char, fingerprint

RANDOM = "q7Rk2ZbX9vLmT4wYc8Hn1PdJ6sGf3AeU5oKi0xQzVtBy"
PLANTED = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "AWS access key": "AKIA" + "Q7RK2ZBX9VLMT4WY",
    "GitHub token": "ghp_" + RANDOM[:36],
    "GitLab token": "glpat-" + RANDOM[:20],
    "Slack token": "xoxb-" + "123456789012-" + RANDOM[:24],
    "Slack webhook": "https://hooks.slack.com/services/" + "T0AAAAAAA/B0BBBBBBB/" + RANDOM[:24],
    "Stripe key": "sk_live_" + RANDOM[:24],
    "Google API key": "AIza" + RANDOM[:35],
    "model provider key": "sk-proj-" + RANDOM[:40],
    "IronClaw API key": "ick_" + "abc123_" + RANDOM[:43],
    "Hugging Face token": "hf_" + RANDOM[:34],
    "npm token": "npm_" + RANDOM[:36],
    "PyPI token": "pypi-AgE" + RANDOM + RANDOM[:10],
    "SendGrid key": "SG." + RANDOM[:22] + "." + RANDOM[:43],
    "DigitalOcean token": "dop_v1_" + "0123456789abcdef" * 4,
    "Telegram bot token": "123456789:AA" + RANDOM[:33],
    "Azure storage key": "AccountKey=" + RANDOM + RANDOM[:42] + "==",
    "JSON web token": "eyJ" + RANDOM[:20] + ".eyJ" + RANDOM[:20] + "." + RANDOM[:30],
    "password in an address": "postgres://user:" + "hunter2hunter@db.internal/x",
    "assigned secret": "db_password = '" + RANDOM[:24] + "'",
}
HARMLESS = (
    "password = os.environ['DB_PASSWORD']",
    "token = request.headers.get('authorization')",
    "secret: ${{ secrets.DEPLOY_KEY }}",
    "api_key = settings.api_key_of_the_service",
    "password = 'changeme-changeme-1'",
    "API_KEY=your-api-key-goes-here-1234",
    "token = 'aaaaaaaaaaaaaaaaaaaaaaaa1'",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 921d1e1c0ffee921d1e1c0ffee921d1e1c0ffee9",
    "postgres://user:${PASSWORD}@db/x",
    "https://example.org/a:b@c",
    "def secret_of(name: str) -> str:",
    "sk-learn is a library",
    "the password is asked for at the prompt",
    "",
)


@pytest.mark.parametrize("rule", PLANTED)
def test_given_a_planted_secret_when_lines_are_scanned_then_it_is_found_and_not_told(rule: str) -> None:
    lines = [(1, "harmless"), (2, f"x = '{PLANTED[rule]}'  # pragma: allowlist secret"), (3, "")]
    found = scan("a.py", lines)
    assert rule in {one.rule for one in found}
    assert {one.line for one in found} == {2}
    for one in found:
        assert RANDOM[:12] not in repr(one)


@pytest.mark.parametrize("line", HARMLESS)
def test_given_a_harmless_line_when_it_is_scanned_then_nothing_is_found(line: str) -> None:
    assert scan("a.py", [(1, line)]) == []


def test_given_an_allowed_fingerprint_when_lines_are_scanned_then_only_that_value_is_let_pass() -> None:
    known, other = PLANTED["GitHub token"], PLANTED["Stripe key"]
    lines = [(1, known), (2, other)]
    assert [one.line for one in scan("a", lines, {fingerprint(known)})] == [2]


def test_given_a_secret_far_out_on_a_long_line_when_it_is_scanned_then_it_is_found() -> None:
    line = "x" * 19_990 + " " + PLANTED["GitHub token"] + " " + "y" * 50_000
    assert [one.rule for one in scan("a.min.js", [(1, line)])] == ["GitHub token"]


@pytest.mark.parametrize(
    "hostile", ["eyJ" * 100_000, "a://" * 100_000, "password=" * 50_000, "-----BEGIN " * 50_000]
)
def test_given_a_hostile_line_when_it_is_scanned_then_it_takes_no_time(hostile: str) -> None:
    began = time.process_time()
    scan("a", [(1, hostile)])
    assert time.process_time() - began < 5


def test_given_words_and_random_values_when_their_entropy_is_taken_then_they_differ() -> None:
    assert bits_per_char("aaaaaaaa") == 0
    assert bits_per_char(RANDOM) > 4.5
