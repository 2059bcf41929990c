"""deploy/compose.yaml for real: the demo's job through the published port, while containers are killed."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_fleet.containersecrets import create_container_secrets
from ironclaw_fleet.ports import free_port
from tests.support.demojob import ask, operator, prove, until_ready
from tests.support.engine import IMAGE, ROOT, Compose, build_image, docker, needs_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("IRONCLAW_STORM_FAULTS", "12"))
SEED = int(os.environ.get("IRONCLAW_STORM_SEEDS", "1").split(",")[0])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_engine()
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    create_container_secrets(folder, "postgres:5432", "valkey:6379")
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def compose(secrets: Path, port: int) -> Iterator[Compose]:
    build_image()
    environ = {"IRONCLAW_SECRETS": str(secrets), "IRONCLAW_PUBLISH": f"127.0.0.1:{port}"}
    with Compose.up("ironclaw-test", environ) as running:
        yield running


@pytest.fixture
async def client(compose: Compose, port: int, secrets: Path) -> AsyncIterator[ServiceClient]:
    async with operator(port, secrets, 120) as client:
        yield client


def test_given_the_stack_when_inspected_then_no_container_has_more_than_it_needs(
    compose: Compose, port: int
) -> None:
    published: dict[str, Any] = {}
    for name, item in compose.containers().items():
        host = item["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, name
        if name not in {"postgres", "valkey"}:
            assert item["Config"]["User"] == "10001:10001" and not host["CapAdd"], name
        assert not [value for value in item["Config"]["Env"] if "postgresql://" in value], name
        published |= {key: value for key, value in (host["PortBindings"] or {}).items() if value}
    assert published == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}


async def test_given_the_demos_job_when_containers_are_killed_at_random_then_all_is_merged_once(
    compose: Compose, client: ServiceClient
) -> None:
    chance = random.Random(SEED)
    runs = [await ask(client, f"handbook{number}") for number in range(3)]
    killed: list[str] = []
    for _ in range(KILLS):
        names = sorted(await asyncio.to_thread(compose.containers))
        name = chance.choice(names)
        if await asyncio.to_thread(compose.kill, name):
            killed.append(name)
        if len(killed) == KILLS // 2:
            runs.append(await ask(client, "handbook-later"))
        await asyncio.sleep(chance.uniform(0.2, 1.5))
    print(f"\nseed {SEED}: killed {' '.join(killed)}")  # noqa: T201 - so that a storm can be told again
    assert len(killed) >= KILLS // 2
    await prove(client, runs)
    await until_ready(client, 120)


def test_given_the_image_when_its_bill_of_materials_is_made_then_it_names_ours_pythons_and_debians(
    compose: Compose,
) -> None:
    script = (ROOT / "deploy" / "sbom.py").read_text()
    made = docker("run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "-c", script)
    document = json.loads(made.stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    names = {item["name"] for item in document["components"]}
    assert {"ironclaw-ledger", "litestar", "git", "libc6"} <= names and "pytest" not in names
    assert all(item["version"] and item["purl"].startswith("pkg:") for item in document["components"])
