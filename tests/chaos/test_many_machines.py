"""Workers on other hosts, without a shared file system: one is cut off in the middle of its work, and healed."""

import asyncio
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ironclaw_chassis.settings import ADDRESS_NAMES
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import new_id
from tests.chaos.test_storm import QUICK, library
from tests.support.fleet import FleetUnderTest
from tests.support.hosts import Host, Hosts, needs_hosts
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until

DOCUMENTS = 14
MODEL_SECONDS = 3
CUT_SECONDS = 9  # longer than a lease and the suspicion after it


def start_worker(host: Host, fleet: FleetUnderTest, folder: Path, gate: str, redis_url: str) -> None:
    """Run a worker on a host with nothing but its own key, everybody's public ones, and addresses."""
    keys = folder / "keys"
    keys.mkdir(parents=True)
    for path in (fleet.state.keys / "worker.key", *fleet.state.keys.glob("*.pub")):
        shutil.copy(path, keys)
    environ = {
        "PATH": os.environ["PATH"],
        "IRONCLAW_HOME": str(folder),
        "IRONCLAW_HOST": "0.0.0.0",
        "IRONCLAW_WORKER_PORT": "8084",
        "IRONCLAW_WORKER_WORKTREES": "fetched",
        "REDIS_URL": redis_url,
        **{name: QUICK[name] for name in ("IRONCLAW_LEASE_SECONDS",)},
    }
    for service in (Service.LEDGER, Service.VAULT):
        environ[ADDRESS_NAMES[service]] = f"http://{gate}:{fleet.port_of(service)}"
    argv = (sys.executable, "-m", "tests.support.hosts", str(MODEL_SECONDS))
    host.run(*argv, environ=environ, log=folder / "worker.log", hidden=fleet.state.path)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_given_workers_on_other_hosts_when_one_is_cut_off_and_healed_then_nothing_is_lost_or_doubled(
    open_path: Path, valkey_url: str
) -> None:
    needs_hosts()
    source = library(open_path / "library", DOCUMENTS)
    database = f"{valkey_url.rstrip('/')}/7"  # a queue of its own: other fleets share the server
    with Hosts.made(2) as net, Proxy(urlsplit(valkey_url).port or 6379, host=net.address) as redis:
        first, second = net.hosts
        environ = {
            **QUICK,
            "REDIS_URL": database,
            "IRONCLAW_HOST": "0.0.0.0",
            "IRONCLAW_WORKER_URL": f"http://{first.address}:8084",
        }
        arguments = ("--allow", str(open_path), "--workers", "0")
        with FleetUnderTest.started(open_path / "fleet", environ, arguments) as fleet:
            parts = urlsplit(database)
            netloc = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
            outside = f"redis://{netloc}{net.address}:{redis.port}/7"
            for number, host in enumerate(net.hosts):
                start_worker(host, fleet, open_path / f"host{number}", net.address, outside)
            async with fleet.client() as client:
                await until(lambda: both_ready(net.hosts), 30, "both workers")
                await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="far", import_path=str(source)))
                chat = api.ChatRequest(
                    message="Summarize docs/", theater_hint="far", mode="async", run_id=new_id()
                )
                run_id = (await client.call(api.CHAT, chat)).run_id
                await asyncio.sleep(MODEL_SECONDS / 2)  # both hosts have orders in hand
                second.cut()
                await asyncio.sleep(CUT_SECONDS)
                second.heal()
                view = await ended(client, run_id, 150)
                assert view.run.status is RunStatus.COMPLETE, view.run.reason
                assert {order.phase for order in view.orders} == {OrderPhase.INTEGRATED}
                merged = Counter(
                    event.order_id
                    for event in (
                        await client.call(api.LIST_EVENTS, query=EventsQuery(run_id=run_id, limit=1000))
                    ).events
                    if event.type is EventType.INTEGRATED
                )
                assert set(merged.values()) == {1} and len(merged) == len(view.orders) == DOCUMENTS + 1
                assert (await client.call(api.VERIFY_CHAIN)).ok
                assert any(order.attempt > 1 for order in view.orders), "the partition cost nothing"
                assert not list((open_path / "host0" / "worktrees").rglob("order.json"))


async def both_ready(hosts: list[Host]) -> bool | None:
    """Whether the workers of these hosts answer."""
    for host in hosts:
        try:
            async with asyncio.timeout(2):
                _, writer = await asyncio.open_connection(host.address, 8084)
            writer.close()
        except (OSError, TimeoutError):
            return None
    return True
