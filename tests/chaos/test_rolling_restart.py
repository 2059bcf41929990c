"""A rolling restart under load: of every service another replica first, then the old one ends. No chat fails."""

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.settings import ADDRESS_NAMES
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.ids import new_id
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from ironclaw_fleet.local import SERVICES
from tests.chaos.test_storm import QUICK
from tests.support.fleet import FleetUnderTest
from tests.support.proxy import Proxy
from tests.support.waiting import ended, until

PAUSE_SECONDS = 0.4
ROLLED = [service for service in SERVICES if service is not Service.API_GATEWAY]


class Balancer:
    """What stands before the gateways: the next replica is asked when one does not answer."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._replicas: dict[str, ServiceClient] = {}
        self._stack = AsyncExitStack()

    async def add(self, url: str) -> None:
        client = ServiceClient(KeyCredentials(self._key), GatewayAddress(url))
        self._replicas[url] = await self._stack.enter_async_context(client)

    def drop(self, url: str) -> None:
        del self._replicas[url]

    async def close(self) -> None:
        await self._stack.aclose()

    async def chat(self, request: api.ChatRequest) -> str:
        """Ask each replica once; raises `Unavailable` when none takes it: that is a failed chat."""
        failed: Unavailable | None = None
        for client in list(self._replicas.values()):
            try:
                return (await client.call(api.CHAT, request)).run_id
            except Unavailable as error:
                failed = error
        raise failed or AssertionError("there is no gateway")


async def load(balancer: Balancer, stop: asyncio.Event, asked: list[str], failed: list[str]) -> None:
    """Ask again and again until told to stop."""
    number = 0
    while not stop.is_set():
        number += 1
        request = api.ChatRequest(message=f"Draft note {number}", mode="async", run_id=new_id())
        try:
            asked.append(await balancer.chat(request))
        except Unavailable as error:
            failed.append(error.message)
        await asyncio.sleep(PAUSE_SECONDS)


async def roll(fleet: FleetUnderTest, service: Service, balancer: Proxy) -> None:
    """Bring up another replica, give it the callers, end the old process, and give them to the next."""
    old = fleet.pids(service)
    with fleet.stand_in(service) as other:
        balancer.target = fleet.listens_on(other, service)
        fleet.kill(service, signal.SIGTERM)

        async def replaced() -> bool | None:
            new = [pid for pid in fleet.pids(service) if pid not in old]
            return True if new and await asyncio.to_thread(fleet.answers, service) else None

        await until(replaced, 60, f"another {service}")
        balancer.target = fleet.port_of(service)
        other.send_signal(signal.SIGTERM)
        await asyncio.to_thread(other.wait, 120)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_given_load_when_every_service_is_restarted_one_after_another_then_no_chat_fails(
    open_path: Path,
) -> None:
    with ExitStack() as stack:
        # Before every service a balancer, as an orchestrator has one: callers know its address only.
        proxies = {service: stack.enter_context(Proxy(0)) for service in ROLLED}
        addresses = {ADDRESS_NAMES[service]: proxy.url for service, proxy in proxies.items()}
        fleet = FleetUnderTest(open_path / "fleet", {**QUICK, **addresses}, ())
        for service, proxy in proxies.items():
            proxy.target = fleet.port_of(service)
        stack.callback(fleet.down)
        fleet.up()
        balancer, stop = Balancer(fleet.operator_key), asyncio.Event()
        asked: list[str] = []
        failed: list[str] = []
        await balancer.add(fleet.url)
        loading = asyncio.create_task(load(balancer, stop, asked, failed))
        try:
            await asyncio.sleep(2)
            for service in ROLLED:
                await roll(fleet, service, proxies[service])
            # The gateway: its other replica takes the callers over before the old process ends.
            old = fleet.pids(Service.API_GATEWAY)
            with fleet.stand_in(Service.API_GATEWAY) as other:
                url = f"http://127.0.0.1:{fleet.listens_on(other, Service.API_GATEWAY)}"
                await balancer.add(url)
                fleet.kill(Service.API_GATEWAY, signal.SIGTERM)

                async def back() -> bool | None:
                    new = [pid for pid in fleet.pids(Service.API_GATEWAY) if pid not in old]
                    ready = new and await asyncio.to_thread(fleet.answers, Service.API_GATEWAY)
                    return True if ready else None

                await until(back, 60, "the gateway")
                balancer.drop(url)
                await asyncio.sleep(1)
        finally:
            stop.set()
            await loading
            await balancer.close()
        assert failed == [] and len(asked) > len(ROLLED)
        async with fleet.client() as client:
            views = [await ended(client, run, 120) for run in asked]
            assert Counter(view.run.status for view in views) == {RunStatus.COMPLETE: len(asked)}
            assert all(order.phase is OrderPhase.INTEGRATED for view in views for order in view.orders)
            assert (await client.call(api.VERIFY_CHAIN)).ok
