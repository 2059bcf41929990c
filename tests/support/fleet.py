"""A fleet as a test sees it: the command line, the gateway, and its processes to do harm to."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.enums import Service
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import DATABASE
from ironclaw_fleet.embedded.valkey import EmbeddedValkey
from ironclaw_fleet.environments import Environments
from ironclaw_fleet.ports import free_port, free_port_row
from ironclaw_fleet.process import die_with_parent
from ironclaw_fleet.statedir import StateDirectory
from tests.support.commands import run_command
from tests.support.processes import parents, words

FORK_SERVER = "ironclaw_fleet.forkserver"
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_COMMAND_SECONDS = 180.0


class FleetUnderTest:
    """`ironclaw up` in a process of its own, on free ports."""

    def __init__(self, home: Path, environ: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.state = StateDirectory(home)
        self.port_base = free_port_row()
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("IRONCLAW_")},
            "IRONCLAW_HOME": str(home),
            "IRONCLAW_LOG_LEVEL": "info",
            **environ,
        }
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def started(
        cls, home: Path, environ: Mapping[str, str] | None = None, arguments: tuple[str, ...] = ()
    ) -> Iterator[Self]:
        """Run a fleet while the context is open."""
        fleet = cls(home, environ or {}, arguments)
        try:
            fleet.up()
            yield fleet
        finally:
            fleet.down()

    def up(self) -> None:
        """Start the fleet and wait until it is ready."""
        self.state.create()
        with (self.state.logs / "fleet.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ironclaw_fleet", "up", "--port-base", str(self.port_base)),
                    *self._arguments,
                ],
                env=self.environ,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(os.getpid()),  # where the tests are killed
            )
        deadline = time.monotonic() + _START_SECONDS
        while self.state.read_fleet() is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the fleet did not start:\n{self.log('fleet')}")
            time.sleep(0.05)

    def make_whole(self) -> None:
        """Start the fleet if it does not run, and wait until each service answers: tests kill and stop some."""
        if self._process is None or self._process.poll() is not None:
            self.up()
        for service in Service:
            self.kill(service, signal.SIGCONT)
        deadline = time.monotonic() + _START_SECONDS
        while away := [service for service in Service if not self.answers(service)]:
            assert time.monotonic() < deadline, f"{away} did not come back:\n{self.log('fleet')}"
            time.sleep(0.05)

    def down(self) -> None:
        """Stop the fleet as Ctrl-C would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_SECONDS)

    @property
    def pid(self) -> int:
        """The supervisor's pid."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return f"http://127.0.0.1:{self.port_base}"

    @property
    def operator_key(self) -> str:
        """The secret of the operator's key."""
        return self.state.operator_key.read_text().strip()

    def pids(self, name: str) -> list[int]:
        """The pids of a service's processes (`postgres` and `valkey-server` too)."""
        wanted = f"ironclaw_{name}" if name in set(Service) else name
        known = parents()
        ours = {pid for pid, parent in known.items() if parent == self.pid}
        forks = {pid for pid in ours if any(FORK_SERVER in word for word in words(pid))}
        ours |= {pid for pid, parent in known.items() if parent in forks}
        return [pid for pid in ours if any(wanted in word for word in words(pid))]

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to every process of a service; return how many there were."""
        found = self.pids(name)
        for pid in found:
            os.kill(pid, number)
        return len(found)

    @contextmanager
    def stand_in(self, service: Service, **overrides: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run another process of a service, with the environment of the one that runs and these changes."""
        env = self.environment_of(service)
        port = free_port()
        env |= {f"IRONCLAW_{service.value.upper()}_PORT": str(port), **overrides}
        with (self.state.logs / f"{service}-stand-in.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"ironclaw_{service.value}"], env=env, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"no stand-in:\n{self.log(f'{service}-stand-in')}")
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait(10)

    def environment_of(self, service: Service) -> dict[str, str]:
        """What the fleet gives a process of a service."""
        url: str | None = None
        if service in WITH_DATABASE:
            admin = urlsplit(self.environ.get("DATABASE_URL") or self._embedded_postgres())
            password = (self.state.keys / f"{service}.password").read_text().strip()
            netloc = f"{service}:{password}@{admin.netloc.rpartition('@')[2]}"
            url = admin._replace(netloc=netloc, path=f"/{DATABASE}").geturl()
        environments = Environments(self.state, self.port_base, self.environ)
        return environments.of_process(service, url, self.environ.get("REDIS_URL") or self._embedded_valkey())

    def _embedded_postgres(self) -> str:
        server = EmbeddedPostgres.running(self.state)
        assert server is not None
        return server.url(DATABASE)

    def _embedded_valkey(self) -> str:
        config = (self.state.valkey / "valkey.conf").read_text().splitlines()
        port = next(int(line.split()[1]) for line in config if line.startswith("port "))
        return EmbeddedValkey(self.state, port).url

    def answers(self, service: Service) -> bool:
        """Whether the service on its own port says that it is ready."""
        return _answers(self.port_of(service))

    @staticmethod
    def listens_on(process: "subprocess.Popen[bytes]", service: Service) -> int:
        """The port that a stand-in was given."""
        raw = (Path("/proc") / str(process.pid) / "environ").read_bytes().decode()
        name = f"IRONCLAW_{service.value.upper()}_PORT="
        return next(int(line.removeprefix(name)) for line in raw.split("\0") if line.startswith(name))

    def port_of(self, service: Service) -> int:
        """The port of a service."""
        return ServiceSettings(port_base=self.port_base).port_of(service)

    def log(self, name: str) -> str:
        """The end of a process's log."""
        path = self.state.logs / f"{name}.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "(no log)"

    def cli(self, *arguments: str, code: int | None = 0, stdin: str | None = None) -> str:
        """Run the `ironclaw` command against this fleet and return what it printed."""
        done = run_command(arguments, self.environ, stdin, _COMMAND_SECONDS)
        assert code is None or done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout + (done.stderr if code != 0 else "")

    def cli_json(self, *arguments: str) -> Any:
        """Run the command with --json and return what it printed, decoded."""
        return json.loads(self.cli(*arguments, "--json"))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ServiceClient]:
        """A client of the gateway with the operator's key."""
        async with gateway(self.state.path) as client:
            yield client

    @asynccontextmanager
    async def as_service(self, service: Service) -> AsyncIterator[ServiceClient]:
        """A client with a service's own identity, for what no person may call."""
        settings = ServiceSettings(port_base=self.port_base)
        async with ServiceClient(Identity.load(service, self.state.keys), Addresses(settings, {})) as client:
            yield client


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False
