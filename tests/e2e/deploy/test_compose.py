"""deploy/compose.yaml for real: the demo's job through the published port, while containers are killed."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.chain import verify_lines
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.ids import new_id
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from ironclaw_fleet.containersecrets import create_container_secrets
from ironclaw_fleet.ports import free_port
from tests.support.engine import IMAGE, ROOT, Compose, build_image, docker, needs_engine
from tests.support.waiting import ended, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MESSAGE = "Summarize every document under docs/ and write one overview of the whole handbook."
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
    key = (secrets / "operator.apikey").read_text().strip()
    async with ServiceClient(KeyCredentials(key), GatewayAddress(f"http://127.0.0.1:{port}")) as client:
        await until_ready(client)
        yield client


async def until_ready(client: ServiceClient) -> None:
    """Wait until every service of the fleet says that it is ready."""

    async def look() -> bool | None:
        found = await client.call(api.FLEET)
        return True if all(service.ready for service in found.services) else None

    await until(look, 120, "a fleet in which every service is ready")


async def ask(client: ServiceClient, theater: str) -> str:
    """Make a theater of the handbook, ask for the demo's job in it, and return the run."""
    request = TheaterRequest(theater_id=theater, import_path="/imports/handbook")
    await until(lambda: client.call(api.OPEN_THEATER, request), 120, f"theater {theater}")
    chat = api.ChatRequest(message=MESSAGE, theater_hint=theater, mode="async", run_id=new_id())
    return (await until(lambda: client.call(api.CHAT, chat), 120, f"the chat in {theater}")).run_id


async def prove(client: ServiceClient, runs: list[str]) -> None:
    """Every order of the runs was merged, once; the chain holds, in the service and in an export."""
    views = [await ended(client, run, 300) for run in runs]
    for view in views:
        assert view.run.status is RunStatus.COMPLETE, view.run.reason
        assert len(view.orders) == 13
        assert {order.phase for order in view.orders} == {OrderPhase.INTEGRATED}
    lines = [line async for line in client.lines(api.EXPORT)]
    assert verify_lines(lines).ok
    assert (await client.call(api.VERIFY_CHAIN)).ok
    bodies = [json.loads(item["body"]) for item in map(json.loads, lines) if item["kind"] == "event"]
    merged = Counter(body["order_id"] for body in bodies if body["type"] == "INTEGRATED")
    assert len(merged) == 13 * len(runs) and set(merged.values()) == {1}


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
    await until_ready(client)


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
