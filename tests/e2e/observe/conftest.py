"""A fleet that exports what it does to a receiver of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.fleet import FleetUnderTest
from tests.support.otlp import OtlpReceiver


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as listening:
        yield listening


@pytest.fixture(scope="module")
def observed(open_root: Path, receiver: OtlpReceiver) -> Iterator[FleetUnderTest]:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }
    allowed = ("--allow", str(ROOT / "examples"))
    with FleetUnderTest.started(open_root / "observed", environ, allowed) as fleet:
        yield fleet
