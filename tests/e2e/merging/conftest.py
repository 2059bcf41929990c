"""A fleet whose units do what the tests say."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironclaw_contracts.enums import Service
from ironclaw_fleet.embedded.roles import ensure_database
from tests.support.fleet import FleetUnderTest


@pytest.fixture(scope="module")
def idle_fleet(
    open_root: Path, tmp_path_factory: pytest.TempPathFactory, postgres_url: str, valkey_url: str
) -> Iterator[FleetUnderTest]:
    """A fleet whose workers are stopped. Its gates find pytest in the environment of the tests."""
    asyncio.run(ensure_database(postgres_url))
    environ = {
        "IRONCLAW_INTEGRATION_PUSH": f"pushed={tmp_path_factory.getbasetemp()}/remote.git",
        "IRONCLAW_INTEGRATION_TOOLS": sys.prefix,
        "IRONCLAW_INTEGRATION_SWEEP_SECONDS": "1",
        "IRONCLAW_INTEGRATION_WEATHER_SECONDS": "2",
    }
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    home = open_root / tmp_path_factory.mktemp("merging").name
    with FleetUnderTest.started(home, environ, allowed) as running:
        running.kill(Service.WORKER, signal.SIGSTOP)
        yield running
        running.kill(Service.WORKER, signal.SIGCONT)
