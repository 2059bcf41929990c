"""Other hosts on one machine: network namespaces with addresses of their own, behind one bridge.

    python -m tests.support.hosts SECONDS

is what runs on such a host: a worker, and beside it a model that takes some seconds for each answer.
"""

import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.support.model_server import ModelServer

ROOT = Path(__file__).resolve().parents[2]


def needs_hosts() -> None:
    """Skip where network namespaces cannot be made."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("ip (iproute2) or unshare (util-linux) is not installed")
    name = f"ic-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    """One namespace with its address; its link to the others can be cut and mended."""

    def __init__(self, name: str, address: str, link: str) -> None:
        self.name, self.address, self._link = name, address, link
        self._processes: list[subprocess.Popen[bytes]] = []

    def cut(self) -> None:
        """Partition the host from all others."""
        ip("link", "set", self._link, "down")

    def heal(self) -> None:
        """End the partition."""
        ip("link", "set", self._link, "up")

    def run(self, *argv: str, environ: Mapping[str, str], log: Path, hidden: Path) -> None:
        """Start a program on the host. The host does not see the folder `hidden`: it shares no file system."""
        inside = 'mount -t tmpfs none "$0" && exec "$@"'
        with log.open("ab") as file:
            process = subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.name,
                    "unshare",
                    "--mount",
                    "sh",
                    "-c",
                    inside,
                    str(hidden),
                    *argv,
                ],
                env=dict(environ),
                stdout=file,
                stderr=file,
                cwd=ROOT,
                start_new_session=True,
            )
        self._processes.append(process)

    def stop(self) -> None:
        """End what runs on the host."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


class Hosts:
    """A bridge with an address of this machine's own, and hosts behind it."""

    def __init__(self, address: str, hosts: list[Host]) -> None:
        self.address, self.hosts = address, hosts

    @classmethod
    @contextmanager
    def made(cls, count: int) -> Iterator[Self]:
        """Make the hosts, and take them away again."""
        mark = os.getpid() % 10_000
        bridge = f"icb{mark}"
        net = list(ipaddress.ip_network(f"10.{200 + mark % 50}.{mark % 250}.0/24").hosts())
        made: list[Host] = []
        try:
            ip("link", "add", bridge, "type", "bridge")
            ip("addr", "add", f"{net[0]}/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            for number in range(1, count + 1):
                made.append(_make(f"ic{mark}-{number}", f"icv{mark}-{number}", str(net[number]), bridge))
            yield cls(str(net[0]), made)
        finally:
            for host in made:
                host.stop()
                subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)
            subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


def _make(name: str, link: str, address: str, bridge: str) -> Host:
    ip("netns", "add", name)
    host = Host(name, address, link)
    ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", link, "master", bridge, "up")
    ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "link", "set", "lo", "up")
    return host


def main(seconds: float) -> None:
    """Run a worker whose model takes some seconds."""

    def answer(_: object) -> tuple[int, str]:
        time.sleep(seconds)
        return 200, "# A summary\n\nThe model of this host read the document."

    with ModelServer(answer) as model:
        environ = {
            **os.environ,
            "IRONCLAW_MODEL_BASE_URL": model.url,
            "IOINTELLIGENCE_API_KEY": "of-the-host",
        }
        subprocess.run([sys.executable, "-m", "ironclaw_worker"], env=environ, check=False)


if __name__ == "__main__":
    main(float(sys.argv[1]))
