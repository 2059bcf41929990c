"""A worker and its sandbox: what it refuses to start with, and what it does without one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import ServiceSettings, SettingsError
from ironclaw_contracts.artifacts import ToolPolicy
from ironclaw_contracts.commands import TheaterPolicy
from ironclaw_contracts.enums import Cause, Service
from ironclaw_worker.executor import WorkFailed
from ironclaw_worker.workbench import Found, ModelEndpoint, Toolbox, Workbench, find_sandbox


def start(keys: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ironclaw_worker"],
        env={"PATH": os.environ["PATH"], "IRONCLAW_KEYS_DIR": str(keys), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("value", ["of", "none", "OFF", "docker"])
def test_given_a_sandbox_that_means_nothing_when_the_worker_starts_then_it_ends_and_names_the_values(
    keys_folder: Path, value: str
) -> None:
    ended = start(keys_folder, IRONCLAW_SANDBOX=value)
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert "IRONCLAW_SANDBOX" in ended.stderr and "auto, bubblewrap, landlock, off" in ended.stderr


def test_given_a_tier_by_name_that_is_not_there_when_the_worker_starts_then_it_ends_and_names_the_mend(
    keys_folder: Path,
) -> None:
    program = [sys.executable, "-m", "ironclaw_worker"]
    installed = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    if installed is not None:
        hidden = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        if subprocess.run([*hidden, "true"], capture_output=True).returncode != 0:
            pytest.skip("bwrap cannot be hidden here: mount namespaces of one's own are needed")
        program = [*hidden, f'mount --bind /dev/null {installed} && exec "$@"', "sh", *program]
    ended = subprocess.run(
        program,
        env={
            "PATH": os.environ["PATH"],
            "IRONCLAW_KEYS_DIR": str(keys_folder),
            "IRONCLAW_SANDBOX": "bubblewrap",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert "IRONCLAW_SANDBOX=bubblewrap fails here" in ended.stderr
    assert "apt-get install bubblewrap" in ended.stderr


async def test_given_a_machine_without_a_tier_when_a_command_is_to_run_then_it_is_refused_with_the_mend(
    keys_folder: Path, tmp_path: Path
) -> None:
    found = Found(None, "no tier of the sandbox works here; install bubblewrap")
    assert str(found) == "refused: no tier of the sandbox works here; install bubblewrap"
    endpoint = ModelEndpoint("http://127.0.0.1:1", "m", Secret(""))
    client = ServiceClient(Identity.load(Service.WORKER, keys_folder), Addresses(ServiceSettings(), {}))
    bench = Workbench(client, found, Toolbox([]), endpoint)
    with pytest.raises(WorkFailed, match="install bubblewrap") as refused:
        await bench.run(["ruff"], tmp_path, policy=TheaterPolicy(), tools=ToolPolicy(), wall_seconds=5)
    assert refused.value.cause is Cause.POLICY


def test_given_off_when_the_sandbox_is_sought_then_it_says_off() -> None:
    assert str(find_sandbox("off")) == "off"
    with pytest.raises(SettingsError, match="IRONCLAW_SANDBOX"):
        find_sandbox("of")
