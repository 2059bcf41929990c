"""deploy/swarm.yaml for real, on a swarm of one machine: the demo's job while tasks are killed and services rolled."""

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironclaw_fleet.containersecrets import create_container_secrets
from tests.support.demojob import ask, operator, prove, until_ready
from tests.support.engine import IMAGE, ROOT, Stack, build_image, docker, needs_engine
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("IRONCLAW_STORM_FAULTS", "12"))
SEED = int(os.environ.get("IRONCLAW_STORM_SEEDS", "1").split(",")[0])
START_SECONDS = 600  # eighteen processes at once, on whatever machine this is
SPARED = ("api_gateway.", "postgres.", "migrate.")
"""Each gateway has a port of its own where there is no IPVS; PostgreSQL is killed under compose."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_engine()
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip() != "inactive":
        pytest.skip("the container engine is part of a swarm already")
    folder = tmp_path_factory.mktemp("swarm") / "secrets"
    create_container_secrets(folder, "postgres:5432", "valkey:6379")
    return folder


@pytest.fixture(scope="module")
def stack(secrets: Path) -> Iterator[Stack]:
    build_image()
    environ = {
        "IRONCLAW_SECRETS": str(secrets),
        "IRONCLAW_IMPORTS": str(ROOT / "examples"),
        "IRONCLAW_IMAGE": IMAGE,
    }
    with Stack.deployed(environ, secrets.parent) as running:
        yield running


async def test_given_a_stack_when_tasks_are_killed_and_services_rolled_then_all_is_merged_once(
    stack: Stack, secrets: Path
) -> None:
    chance = random.Random(SEED)
    await asyncio.to_thread(stack.wait_whole, START_SECONDS)
    port = await until(lambda: asyncio.to_thread(stack.gateway_port), 30, "a published gateway")
    async with operator(port, secrets, 300) as client:
        runs = [await ask(client, f"handbook{number}") for number in range(2)]
        killed: list[str] = []
        for number in range(KILLS):
            if number == KILLS // 2:
                await asyncio.to_thread(stack.roll, "ledger")
                runs.append(await ask(client, "handbook-later"))
            tasks = sorted(await asyncio.to_thread(stack.tasks))
            name = chance.choice([task for task in tasks if not task.startswith(SPARED)])
            if await asyncio.to_thread(stack.kill, name):
                killed.append(name)
            await asyncio.sleep(chance.uniform(0.2, 1.5))
        print(f"\nseed {SEED}: killed {' '.join(killed)}")  # noqa: T201 - so that a storm can be told again
        assert len(killed) >= KILLS // 2
        await asyncio.to_thread(stack.roll, "worker")
        await prove(client, runs)
        await asyncio.to_thread(stack.wait_whole, START_SECONDS)
        await until_ready(client, 120)


def test_given_the_stack_when_its_tasks_are_inspected_then_none_has_more_than_it_needs(stack: Stack) -> None:
    tasks = stack.tasks()
    assert {name.split(".")[0] for name in tasks} > {"ledger", "worker", "postgres", "valkey"}
    for name, item in tasks.items():
        host = item["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], name
        assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, name
        if not name.startswith(("postgres.", "valkey.")):
            assert item["Config"]["User"] == "10001:10001" and not host["CapAdd"], name
        assert not [value for value in item["Config"]["Env"] if "postgresql://" in value], name
