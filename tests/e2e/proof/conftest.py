"""A fleet of its own that beats every second and dispatches nothing before the validator agrees."""

from collections.abc import Iterator

import pytest

from tests.conftest import open_folder
from tests.support.fleet import FleetUnderTest

BEAT_SECONDS = 1.0


@pytest.fixture(scope="module")
def careful() -> Iterator[FleetUnderTest]:
    """A running fleet with IRONCLAW_POI_REQUIRED; its tests kill parts of it and leave it whole."""
    environ = {
        "IRONCLAW_HEARTBEAT_SECONDS": str(BEAT_SECONDS),
        "IRONCLAW_POI_REQUIRED": "true",
        "IRONCLAW_CO_SWEEP_SECONDS": "0.5",
    }
    with open_folder() as folder, FleetUnderTest.started(folder / "fleet", environ) as running:
        yield running
