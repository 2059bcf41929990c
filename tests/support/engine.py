"""A container engine as a test sees it: the image built once, a compose project and a Swarm stack that can be harmed."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ironclaw"
_BUILD_SECONDS, _COMPOSE_SECONDS = 900, 300


def engine_missing() -> str:
    """Why no container engine can be used here (DOCKER_HOST, else /var/run/docker.sock); empty when one can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    found = docker("version", "--format", "{{.Server.Version}}", check=False)
    return "" if found.returncode == 0 else "no container engine answers"


def docker(
    *arguments: str, check: bool = True, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the docker command; what it complains of is told when it fails and must not."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPOSE_SECONDS,
        env=None if env is None else {**os.environ, **env},
    )
    assert done.returncode == 0 or not check, f"docker {arguments}: {done.stderr[-4000:]}"
    return done


def needs_engine() -> None:
    """Skip unless these tests were asked for and an engine with Compose is there."""
    if os.environ.get("IRONCLAW_DEPLOY_TESTS") != "1":
        pytest.skip("builds an image and runs it for minutes: make deploy-test")
    if missing := engine_missing():
        pytest.skip(missing)
    if docker("compose", "version", check=False).returncode != 0:
        pytest.skip("the container engine has no Compose v2 plugin")


def build_image() -> None:
    """Build the image of this tree."""
    built = subprocess.run(
        ["docker", "build", "-q", "-t", IMAGE, "-f", "deploy/Dockerfile", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]


class Compose:
    """deploy/compose.yaml as a project of its own, with secrets and volumes of its own."""

    def __init__(self, project: str, environ: Mapping[str, str]) -> None:
        self.project = project
        self._environ = dict(environ)

    @classmethod
    @contextmanager
    def up(cls, project: str, environ: Mapping[str, str], *arguments: str) -> Iterator[Self]:
        """Run the project while the context is open; its volumes go with it."""
        compose = cls(project, environ)
        try:
            compose("up", "-d", "--quiet-pull", *arguments)
            yield compose
        finally:
            compose("down", "-v", "--timeout", "5", check=False)

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a docker compose command on the project and return its output."""
        file = str(ROOT / "deploy" / "compose.yaml")
        return docker(
            "compose", "-f", file, "-p", self.project, *arguments, check=check, env=self._environ
        ).stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of each running container, by service (and number, from the second on)."""
        ids = self("ps", "-q").split()
        if not ids:
            return {}
        found: dict[str, dict[str, Any]] = {}
        for item in json.loads(docker("inspect", *ids, check=False).stdout):
            labels = item["Config"]["Labels"]
            number = labels["com.docker.compose.container-number"]
            service = labels["com.docker.compose.service"]
            found[service if number == "1" else f"{service}-{number}"] = item
        return found

    def kill(self, name: str) -> bool:
        """End a container's first process from outside, as a crash would: `docker kill` would keep it down."""
        return _shot(self.containers().get(name, {}))


class Stack:
    """deploy/swarm.yaml as a stack of its own on a swarm of one machine, which is made for it and left after.

    The kernel may have no IPVS, which stands behind virtual IPs and the published port of a whole swarm. There, each
    gateway is published by the machine that it runs on, at a free port.
    """

    NAME = "ironclaw-test"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    @classmethod
    @contextmanager
    def deployed(cls, environ: Mapping[str, str], folder: Path) -> Iterator[Self]:
        """Run the stack while the context is open; its volumes go with it. `folder` takes the file deployed."""
        stack = cls(environ)
        document = yaml.safe_load((ROOT / "deploy" / "swarm.yaml").read_text())
        docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
        try:
            node = docker("info", "--format", "{{.Swarm.NodeID}}").stdout.strip()
            docker("node", "update", "--label-add", "ironclaw.data=true", node)
            if not Path("/proc/net/ip_vs").exists():
                gateway = document["services"]["api_gateway"]
                gateway["deploy"]["endpoint_mode"] = "dnsrr"
                gateway["ports"] = [{"target": 8080, "mode": "host"}]
            file = folder / "swarm.yaml"
            file.write_text(yaml.safe_dump(document))
            docker(
                "stack", "deploy", "-c", str(file), "--resolve-image", "never", cls.NAME, env=stack._environ
            )
            yield stack
        finally:
            stack._remove()
            docker("swarm", "leave", "--force", check=False)

    def _remove(self) -> None:
        mine = ("--filter", f"label=com.docker.stack.namespace={self.NAME}")
        docker("stack", "rm", self.NAME, check=False)
        while docker("ps", "-aq", *mine).stdout.split():  # until the test's own time is over
            time.sleep(0.5)
        volumes = docker("volume", "ls", "-q", *mine).stdout.split()
        docker("volume", "rm", "--force", *volumes, check=False)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of each running task, by service and number: `ledger.2`."""
        mine = f"label=com.docker.stack.namespace={self.NAME}"
        ids = docker("ps", "-q", "--filter", mine).stdout.split()
        found = json.loads(docker("inspect", *ids, check=False).stdout) if ids else []
        return {
            ".".join(item["Config"]["Labels"]["com.docker.swarm.task.name"].split(".")[:2]).removeprefix(
                f"{self.NAME}_"
            ): item
            for item in found
        }

    def wait_whole(self, seconds: float) -> None:
        """Wait until as many tasks of each service run as were asked for; the migration's ends."""
        end = time.monotonic() + seconds
        while True:
            listed = docker("stack", "services", self.NAME, "--format", "{{.Name}} {{.Replicas}}").stdout
            counts = dict(line.removeprefix(f"{self.NAME}_").split(" ", 1) for line in listed.splitlines())
            left = {name: n for name, n in counts.items() if len(set(n.split("/"))) > 1 and name != "migrate"}
            if counts and not left:
                return
            assert time.monotonic() < end, f"after {seconds:g} s tasks are missing: {left}"
            time.sleep(1)

    def gateway_port(self) -> int | None:
        """Return the port that a gateway is published at, once there is one."""
        for name, item in self.tasks().items():
            if name.startswith("api_gateway.") and (
                bound := item["NetworkSettings"]["Ports"].get("8080/tcp")
            ):
                return int(bound[0]["HostPort"])
        return None

    def kill(self, name: str) -> bool:
        """End a task's first process from outside."""
        return _shot(self.tasks().get(name, {}))

    def roll(self, service: str) -> None:
        """Replace the tasks of a service one after another; returns when the new ones run."""
        docker("service", "update", "--force", "--quiet", f"{self.NAME}_{service}")


def _shot(container: Mapping[str, Any]) -> bool:
    pid = container.get("State", {}).get("Pid", 0)
    if not pid:
        return False
    done = docker(
        *("run", "--rm", "--pid=host", "--user=0", "--network=none"),
        *("--entrypoint=/bin/sh", IMAGE, "-c", f"kill -9 {pid}"),
        check=False,
    )
    return done.returncode == 0
