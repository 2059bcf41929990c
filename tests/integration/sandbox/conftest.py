"""The tiers that this machine has; a test of another one is skipped, with the reason in the report."""

import asyncio
import functools
from collections.abc import Iterator

import pytest

from ironclaw_sandbox import Report, Sandbox, Tier, probe
from tests.integration.sandbox.host import Host, host


@functools.cache
def report_of_this_machine() -> Report:
    return asyncio.run(probe())


def sandbox_of(tier: Tier) -> Sandbox:
    report = report_of_this_machine()
    if tier is not Tier.OFF and tier not in report.tiers:
        missing = "; ".join(f"{one.name}: {one.detail}" for one in report.abilities if not one.works)
        pytest.skip(f"the tier {tier} does not work on this machine: {missing}")
    return Sandbox(tier=tier, bwrap=report.bwrap)


@pytest.fixture(params=[Tier.BUBBLEWRAP, Tier.LANDLOCK])
def sandbox(request: pytest.FixtureRequest, probed: None) -> Sandbox:
    return sandbox_of(request.param)


@pytest.fixture(params=[Tier.BUBBLEWRAP, Tier.LANDLOCK, Tier.OFF])
def any_tier(request: pytest.FixtureRequest, probed: None) -> Sandbox:
    return sandbox_of(request.param)


@pytest.fixture(scope="session")
def probed() -> None:
    report_of_this_machine()


@pytest.fixture
def standing() -> Iterator[Host]:
    with host() as one:
        yield one
