"""A fleet whose units do what the tests say."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironclaw_contracts.enums import Service
from tests.support.fleet import FleetUnderTest


@pytest.fixture(scope="package")
def idle_fleet(open_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """A fleet whose workers are stopped. Its gates find pytest in the environment of the tests.

    The tests of this folder share it: each leaves no order behind that a later one's units could not do.
    """
    environ = {
        "IRONCLAW_INTEGRATION_PUSH": f"pushed={tmp_path_factory.getbasetemp()}/remote.git",
        "IRONCLAW_INTEGRATION_TOOLS": sys.prefix,
        "IRONCLAW_INTEGRATION_SWEEP_SECONDS": "1",
        "IRONCLAW_INTEGRATION_WEATHER_SECONDS": "2",
    }
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    with FleetUnderTest.started(open_root / "merging", environ, allowed) as running:
        running.kill(Service.WORKER, signal.SIGSTOP)
        yield running
        running.kill(Service.WORKER, signal.SIGCONT)
