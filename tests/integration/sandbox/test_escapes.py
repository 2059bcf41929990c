"""TRUST row 14: every way out that we know of, tried as a real program inside each tier."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

import ironclaw_launcher
import ironclaw_sandbox
from ironclaw_sandbox import Sandbox, Tier
from tests.integration.sandbox import probes
from tests.integration.sandbox.host import Host, attempts, python_for, run

pytestmark = pytest.mark.trust
NOBODY = 65534
EXAMPLES = [pytest.param(probe, id=probe.name) for probe in probes.ALL]
CONTROLS = [pytest.param(probe, id=probe.name) for probe in probes.ALL if probe.control]


@pytest.mark.parametrize("probe", EXAMPLES)
async def test_given_a_tier_when_a_program_tries_to_get_out_then_it_is_contained(
    sandbox: Sandbox, probe: probes.Probe
) -> None:
    async for name, problem in attempts(sandbox, [(probe.name, probe.program)]):
        assert not problem, name


@pytest.mark.parametrize("probe", CONTROLS)
async def test_given_no_sandbox_when_the_same_program_runs_then_it_gets_through(
    standing: Host, probe: probes.Probe
) -> None:
    outcome = await run(Sandbox(tier=Tier.OFF), standing, probe.program)
    said = (outcome.stdout + outcome.stderr).decode()
    assert said.startswith("THROUGH"), f"the attempt proves nothing: {said}"


@pytest.mark.parametrize("tier", [Tier.BUBBLEWRAP, Tier.LANDLOCK])
def test_given_an_ordinary_user_when_all_programs_try_then_each_tier_contains_them(tier: Tier) -> None:
    if os.geteuid() != 0:
        pytest.skip("this run is an ordinary user's already: the tests above are this one")
    python = python_for(NOBODY)
    if python is None:
        pytest.skip(f"no Python {sys.version_info.major}.{sys.version_info.minor} that nobody may run")
    folder = Path(tempfile.mkdtemp(prefix="sandbox-nobody-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        for package in (ironclaw_launcher, ironclaw_sandbox, msgspec):
            assert package.__file__ is not None
            shutil.copytree(Path(package.__file__).parent, folder / package.__name__)
        shutil.copytree(Path(__file__).parent, folder / "tests" / "integration" / "sandbox")
        command = [python, "-m", "tests.integration.sandbox.ordinary", tier]
        done = subprocess.run(
            command,
            cwd=folder,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            check=False,
            env={},
        )
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    if "skip" in answer:
        pytest.skip(answer["skip"])
    assert len(answer["tried"]) == len(probes.ALL)
    assert {name: problem for name, problem in answer["tried"].items() if problem} == {}
