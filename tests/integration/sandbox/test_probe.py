"""TRUST row 14: a tier is used only after it contained a trial; where there is none, commands are refused."""

import json
import os
from pathlib import Path

import msgspec
import pytest

import ironclaw_sandbox
from ironclaw_sandbox import BadSetting, Command, Policy, Sandbox, Tier, open_sandbox, probe
from tests.integration.sandbox.host import LIMITS, PYTHON, Host

pytestmark = pytest.mark.trust


async def test_given_this_machine_when_it_is_probed_then_each_ability_was_tried_and_each_failure_has_a_mend() -> (
    None
):
    report = await probe()
    names = [ability.name for ability in report.abilities]
    assert names[:4] == ["bubblewrap", "system call filter", "landlock", "user namespace"]
    assert {"network namespace", "process namespace", "mount namespace", "ipc namespace"} <= set(names)
    for ability in report.abilities:
        assert ability.detail
        assert ability.works or ability.mend, ability
    contained = {
        ability.name for ability in report.abilities if ability.works and ability.name.endswith(" contains")
    }
    assert contained == {f"{tier} contains" for tier in report.tiers}


async def test_given_the_sandbox_is_off_when_it_is_opened_then_nothing_is_probed_and_commands_run() -> None:
    sandbox, report = await open_sandbox("off")
    assert (sandbox.tier, report.abilities, report.tiers) == (Tier.OFF, (), ())


async def test_given_a_setting_that_means_nothing_when_the_sandbox_is_opened_then_it_is_an_error() -> None:
    with pytest.raises(BadSetting, match="auto, bubblewrap, landlock, off"):
        await open_sandbox("disabled")


async def test_given_a_tier_when_it_is_named_then_it_is_the_one_that_is_used(sandbox: Sandbox) -> None:
    opened, _ = await open_sandbox(sandbox.tier)
    assert opened == sandbox


PROBE = """
import asyncio, dataclasses, json, sys
from ironclaw_sandbox import SandboxRefused, open_sandbox
try:
    asyncio.run(open_sandbox(sys.argv[1]))
except SandboxRefused as problem:
    print(json.dumps({"refused": problem.message}))
else:
    print(json.dumps({"refused": None}))
"""


@pytest.mark.parametrize("setting", ["auto", "bubblewrap", "landlock"])
async def test_given_a_machine_that_allows_no_namespace_when_the_sandbox_is_opened_then_it_is_refused_with_the_mend(
    sandbox: Sandbox, standing: Host, setting: str
) -> None:
    # The inside of a sandbox is such a machine: no user namespace, no mount, whoever asks.
    packages = {Path(str(one.__file__)).resolve().parents[1] for one in (msgspec, ironclaw_sandbox)}
    policy = Policy(worktree=standing.worktree, readable=tuple(packages), limits=LIMITS)
    path = os.pathsep.join(map(str, packages))
    command = Command(argv=(PYTHON[0], "-c", PROBE, setting), environment={"PYTHONPATH": path})
    outcome = await sandbox.run(command, policy)
    assert outcome.ok, outcome
    refused = json.loads(outcome.stdout)["refused"]
    assert refused is not None
    for said in ("user namespace", "--security-opt", "IRONCLAW_SANDBOX=off", "no command is run"):
        assert said in refused
