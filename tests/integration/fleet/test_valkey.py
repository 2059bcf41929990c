"""Embedded Valkey: its password, its address, its queue after a kill."""

import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from ironclaw_fleet.embedded.valkey import EmbeddedValkey
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.process import Phase
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor
from tests.integration.fleet.conftest import eventually

JOBS = 500


class Server:
    """A supervised Valkey."""

    def __init__(self, state: StateDirectory, port: int) -> None:
        self.state, self.port = state, port
        self.embedded = EmbeddedValkey(state, port)
        self.supervisor = Supervisor()

    @property
    def pid(self) -> int:
        pid = self.supervisor.states()[0].pid
        assert pid is not None
        return pid


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Its path holds what a configuration file could stumble on."""
    with tempfile.TemporaryDirectory(prefix='fleet "test" \\ ', dir="/tmp") as folder:
        state = StateDirectory(Path(folder) / "state")
        state.create()
        found = Server(state, free_port())
        found.embedded.prepare()
        found.supervisor.add(found.embedded.spec())
        await found.supervisor.wait_ready()
        yield found
        await found.supervisor.stop()


async def test_given_valkey_when_asked_without_the_password_then_it_refuses(server: Server) -> None:
    for url in (f"redis://127.0.0.1:{server.port}", f"redis://:wrong@127.0.0.1:{server.port}"):
        async with Redis.from_url(url) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
    async with Redis.from_url(server.embedded.url) as client:
        assert await client.ping()


async def test_given_valkey_when_looked_at_from_outside_then_it_is_on_loopback_and_shows_no_secret(
    server: Server,
) -> None:
    password = (server.state.keys / "valkey.password").read_text().strip()
    process = psutil.Process(server.pid)
    listening = {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert password not in " ".join(process.cmdline()) + str(process.environ())
    assert (server.state.valkey / "valkey.conf").stat().st_mode & 0o777 == 0o600
    async with Redis.from_url(server.embedded.url, decode_responses=True) as client:
        kept = await client.config_get("*")
    expected = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "dir": str(server.state.valkey),
    }
    assert {name: kept[name] for name in expected} == expected


async def test_given_queued_jobs_when_valkey_is_killed_then_every_acknowledged_one_is_there(
    server: Server,
) -> None:
    async with Redis.from_url(server.embedded.url) as client:
        for number in range(JOBS):
            await client.zadd("queue", {f"job-{number}": number})
    server.supervisor.kill("valkey", signal.SIGKILL)
    await eventually(lambda: server.supervisor.states()[0].restarts == 1, "the restart")
    await server.supervisor.wait_ready()
    assert server.supervisor.states()[0].phase is Phase.READY
    async with Redis.from_url(server.embedded.url, decode_responses=True) as client:
        assert await client.zrange("queue", 0, -1) == [f"job-{number}" for number in range(JOBS)]
