"""A container engine as a test sees it: the image built once, a compose project that can be harmed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ironclaw"
_BUILD_SECONDS, _COMPOSE_SECONDS = 900, 300


def engine_missing() -> str:
    """Why no container engine can be used here (DOCKER_HOST, else /var/run/docker.sock); empty when one can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    found = docker("version", "--format", "{{.Server.Version}}", check=False)
    return "" if found.returncode == 0 else "no container engine answers"


def docker(*arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> Any:
    """Run the docker command."""
    return subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        check=check,
        timeout=_COMPOSE_SECONDS,
        env=None if env is None else {**os.environ, **env},
    )


def needs_engine() -> None:
    """Skip unless these tests were asked for and an engine with Compose is there."""
    if os.environ.get("IRONCLAW_DEPLOY_TESTS") != "1":
        pytest.skip("builds images and runs them for minutes: make compose-test, or make deploy-test")
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
        done = docker(
            *("compose", "-f", str(ROOT / "deploy" / "compose.yaml"), "-p", self.project, *arguments),
            check=False,
            env=self._environ,
        )
        assert done.returncode == 0 or not check, f"{arguments}: {done.stderr[-4000:]}"
        return str(done.stdout)

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
        pid = self.containers().get(name, {}).get("State", {}).get("Pid", 0)
        if not pid:
            return False
        shot = docker(
            *("run", "--rm", "--pid=host", "--user=0", "--network=none"),
            *("--entrypoint=/bin/sh", IMAGE, "-c", f"kill -9 {pid}"),
            check=False,
        )
        return bool(shot.returncode == 0)
