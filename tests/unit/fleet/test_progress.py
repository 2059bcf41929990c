"""What a chat shows while it works: what happened, and why where it went wrong."""

from typing import Any

import pytest

from ironclaw_contracts.events import EventType
from ironclaw_fleet.cli.progress import told


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        (EventType.ORDER_STARTED, {"attempt": 1}, "running"),
        (
            EventType.ORDER_FAILED,
            {"reason": "no tier of the sandbox works here: install bubblewrap\nand more"},
            "attempt failed: no tier of the sandbox works here: install bubblewrap",
        ),
        (EventType.INTEGRATION_FAILED, {"reason": "tests: 1 failed"}, "merge refused: tests: 1 failed"),
        (EventType.INTEGRATION_FAILED, {"reason": "no pytest", "hold": True}, "merge waits: no pytest"),
        (EventType.ORDER_REISSUED, {"reason": "retry"}, "reissued"),
    ],
)
def test_given_an_event_when_shown_then_the_reason_stands_where_it_went_wrong(
    kind: EventType, payload: dict[str, Any], said: str
) -> None:
    assert told(kind, payload) == said
