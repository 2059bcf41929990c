"""Starting and stopping on one machine (TRUST row 19)."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import RunsQuery
from ironclaw_contracts.enums import SERVICE_PORTS, RunStatus, Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.ids import new_id
from tests.support.fleet import FleetUnderTest
from tests.support.processes import descendants, gone
from tests.support.waiting import ended

pytestmark = pytest.mark.trust


def modes(folder: Path) -> dict[Path, int]:
    return {parent: parent.stat().st_mode for parent in folder.parents}


async def test_given_a_fresh_state_when_started_then_work_is_done_and_stopped_without_a_trace(
    open_path: Path,
) -> None:
    home = open_path / "fleet"
    before = modes(home)
    with FleetUnderTest.started(home) as fleet:
        pids = descendants(fleet.pid)
        async with fleet.client() as client:
            answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a hello"))
            assert answer.status is RunStatus.COMPLETE
            first = (await client.call(api.GET_CHAIN)).head_seq
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": f"Bearer {fleet.operator_key}"}
                chat = await client.call(api.CHAT, api.ChatRequest(message="Draft", mode="async"))
                url = f"{fleet.url}/runs/{chat.run_id}/events"
                async with session.get(url, headers=headers) as stream:
                    assert stream.status == 200
                    await asyncio.to_thread(fleet.down)  # with the stream open
    assert await gone(pids) == set()
    assert modes(home) == before
    with FleetUnderTest.started(home) as fleet:
        async with fleet.client() as client:
            assert (await client.call(api.GET_CHAIN)).head_seq >= first
            assert (await client.call(api.VERIFY_CHAIN)).ok


async def test_given_a_running_fleet_when_its_sockets_are_read_then_none_listens_beyond_loopback(
    fleet: FleetUnderTest,
) -> None:
    inodes: set[str] = set()
    for pid in descendants(fleet.pid):
        folder = Path("/proc") / str(pid) / "fd"
        for entry in folder.iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1])
    assert len(listening) >= len(SERVICE_PORTS) - 3
    assert all(address.startswith("0100007F:") for address in listening), listening


async def test_given_a_fleet_when_its_supervisor_is_killed_then_no_orphan_stays_and_it_starts_again(
    spare: FleetUnderTest,
) -> None:
    pids = descendants(spare.pid)
    assert len(pids) >= 10
    os.kill(spare.pid, signal.SIGKILL)
    assert await gone({*pids, spare.pid}) == set()
    spare.make_whole()
    async with spare.client() as client:
        assert (await client.call(api.VERIFY_CHAIN)).ok


async def test_given_a_service_that_dies_when_it_is_started_again_then_work_goes_on(
    fleet: FleetUnderTest,
) -> None:
    assert fleet.kill(Service.API_GATEWAY) == 1
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            async with fleet.client() as client:
                answer = await client.call(api.CHAT, api.ChatRequest(message="Draft again"))
            assert answer.status is RunStatus.COMPLETE
            return
        except Exception:
            await asyncio.sleep(0.1)
    raise AssertionError(fleet.log("fleet"))


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare (util-linux) is not installed")
def test_given_an_ordinary_user_when_the_demo_runs_then_it_ends_with_success(open_path: Path) -> None:
    """In a user namespace this process is uid 1000, as far as it and PostgreSQL can tell."""
    probe = subprocess.run(["unshare", "--user", "--map-user=1000", "true"], check=False, capture_output=True)
    if probe.returncode != 0:
        pytest.skip("user namespaces are not allowed on this machine")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-user=1000", sys.executable, "-m", "ironclaw_fleet", "demo"),
            *("--source", "examples/handbook", "--message", "Summarize every document under docs/"),
        ],
        cwd=root,
        env={**os.environ, "IRONCLAW_HOME": str(open_path / "home")},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "13 of 13 orders merged" in done.stdout and "chain holds" in done.stdout


def test_given_a_taken_port_when_started_then_it_is_named_with_the_mend(
    fleet: FleetUnderTest, open_path: Path
) -> None:
    environ = {**fleet.environ, "IRONCLAW_HOME": str(open_path / "second")}
    command = [sys.executable, "-m", "ironclaw_fleet", "up", "--port-base", str(fleet.port_base)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "--port-base" in done.stderr and "Traceback" not in done.stderr


def test_given_a_misspelt_setting_when_a_service_starts_then_it_is_named(fleet: FleetUnderTest) -> None:
    environ = {**fleet.environ, "IRONCLAW_LEASE_SECNDS": "5"}
    command = [sys.executable, "-m", "ironclaw_fleet", "serve", "worker"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "IRONCLAW_LEASE_SECNDS" in done.stderr


async def test_given_two_interrupts_when_stopping_then_the_second_does_not_wait(
    spare: FleetUnderTest,
) -> None:
    pids = descendants(spare.pid)
    said = (spare.state.logs / "fleet.log").read_text()
    assert "observer" in said and "ready in" in said
    for service in (Service.LEDGER, Service.VAULT):
        spare.kill(service, signal.SIGSTOP)  # deaf to a polite end
    os.kill(spare.pid, signal.SIGINT)
    await asyncio.sleep(0.3)
    os.kill(spare.pid, signal.SIGINT)
    assert await gone({*pids, spare.pid}) == set()


@pytest.mark.parametrize("victim", ["ledger", "valkey-server", "api_gateway"])
async def test_given_an_outage_when_chat_is_retried_then_there_is_one_run_and_it_ends(
    spare: FleetUnderTest, victim: str
) -> None:
    everything = RunsQuery(limit=1000)
    async with spare.client() as client:
        before = {run.run_id for run in (await client.call(api.LIST_RUNS, query=everything)).runs}
        request = api.ChatRequest(message="Draft through an outage", run_id=new_id(), mode="async")
        answered = 0
        assert spare.kill(victim) == 1
        for _ in range(200):
            try:
                await client.call(api.CHAT, request)
                answered += 1
                if answered == 3:
                    break
            except Unavailable as error:
                assert error.retry_after_seconds is None or error.retry_after_seconds >= 1
                await asyncio.sleep(0.1)
        view = await ended(client, request.run_id)
        runs = [run.run_id for run in (await client.call(api.LIST_RUNS, query=everything)).runs]
    assert answered == 3
    assert view.run.status is RunStatus.COMPLETE and len(view.orders) == 1
    assert [run_id for run_id in runs if run_id not in before] == [request.run_id]
