"""Which nodes have fallen silent, and since when there was anybody to hear them."""

from datetime import UTC, datetime, timedelta

import pytest

from ironclaw_openclawdbot.proof.store import Standing
from ironclaw_openclawdbot.proof.watching import silences, watch_since

NOW = datetime(2026, 2, 28, 12, 0, tzinfo=UTC)
BEAT_SECONDS = 30.0


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def node(heard: float, *, status: str = "online", ours: bool = True) -> Standing:
    return Standing("n", "Worker", "worker", 0.5, ours, status, 7, ago(heard))


@pytest.mark.parametrize(
    ("standing", "watching_seconds", "is_silent"),
    [
        (node(91), 1_000, True),
        (node(89), 1_000, False),
        (node(91, status="offline"), 1_000, False),
        (node(91, ours=False), 1_000, False),
        (node(5_000), 60, False),
        (node(5_000), 91, True),
    ],
)
def test_given_a_node_when_its_ttl_is_over_then_it_is_silent_if_it_is_ours_and_could_be_heard(
    standing: Standing, watching_seconds: float, is_silent: bool
) -> None:
    found = silences([standing], NOW, ago(watching_seconds), BEAT_SECONDS)
    assert [silence.node_id for silence in found] == (["n"] if is_silent else [])


def test_given_a_watch_that_was_stopped_when_it_looks_again_then_it_calls_nobody_silent() -> None:
    began = ago(1_000)
    assert watch_since(began, ago(0.6), NOW, BEAT_SECONDS) == began
    assert watch_since(began, ago(31), NOW, BEAT_SECONDS) == NOW
    stopped = watch_since(began, ago(600), NOW, BEAT_SECONDS)
    assert silences([node(600)], NOW, stopped, BEAT_SECONDS) == []
