"""A fleet with a model that fails for one profile, and learning that looks often."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import FleetUnderTest
from tests.support.model_server import ModelServer

GOOD, BAD, SLOW = "test/good", "test/bad", "take your time"


_GOES_ON = threading.Event()
_GOES_ON.set()


@contextmanager
def slow_orders_held() -> Iterator[None]:
    """Keep the model from answering slow orders while the context is open, at most for 50 seconds."""
    _GOES_ON.clear()
    try:
        yield
    finally:
        _GOES_ON.set()


def script(request: dict[str, Any]) -> tuple[int, str]:
    """The bad model answers nothing that can be used."""
    if "You plan work" in request["messages"][0]["content"]:
        return 200, '{"tasks": [{"title": "Write", "objective": "Write it"}]}'
    if SLOW in request["messages"][-1]["content"]:
        _GOES_ON.wait(50)
    return (400, "cannot do this") if request["model"] == BAD else (200, "# A text")


@pytest.fixture(scope="package")
def taught(open_root: Path) -> Iterator[FleetUnderTest]:
    with ModelServer(script) as model:
        environ = {
            "IRONCLAW_MODEL_BASE_URL": model.url,
            "IRONCLAW_MODEL_NAME": BAD,
            "IOINTELLIGENCE_API_KEY": "planted-key",
            "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.3",
            "IRONCLAW_LEARNING_PROFILES": f"good={GOOD}",
            "IRONCLAW_LEARNING_EVIDENCE_MIN": "3",
            "IRONCLAW_LEARNING_FLOOR": "0.2",
            "IRONCLAW_LEARNING_TICK_SECONDS": "0.5",
        }
        with FleetUnderTest.started(open_root / "learning", environ) as fleet:
            yield fleet
