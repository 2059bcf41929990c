"""Real parts for all tests: PostgreSQL and Valkey (containers where an engine holds the images, else embedded), a fleet."""

import asyncio
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ironclaw_chassis.identity import create_key
from ironclaw_contracts.enums import Service
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import ensure_database
from ironclaw_fleet.embedded.valkey import EmbeddedValkey
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.process import ProcessSpec, die_with_parent
from ironclaw_fleet.statedir import StateDirectory
from tests.support.databases import new_database
from tests.support.fleet import FleetUnderTest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS_WITH_A_FLEET = {"tests/e2e/merging", "tests/e2e/watchdogs", "tests/integration/learning"}
POSTGRES_IMAGE, VALKEY_IMAGE = "postgres:17-trixie", "valkey/valkey:8-trixie"


@functools.cache
def has_image(name: str) -> bool:
    """Whether a container engine answers on this machine and holds an image: tests pull none."""
    import docker
    from docker.errors import DockerException
    from testcontainers.core.config import testcontainers_config

    try:
        docker.from_env().images.get(name)
    except DockerException:
        return False
    testcontainers_config.ryuk_disabled = True  # one more image; the fixtures stop what they started
    return True


def pytest_report_header() -> str:
    """Say what the tests of this session stand on."""
    found = [
        image if has_image(image) else f"embedded (no {image})" for image in (POSTGRES_IMAGE, VALKEY_IMAGE)
    ]
    return f"servers: {', '.join(found)}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Have one process of several run what shares a fleet: a module, or a folder with a fleet of its own."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFleet(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            folder = module.rpartition("/")[0]
            return folder if folder in FOLDERS_WITH_A_FLEET else module

    return ByFleet(config, log)


def _run(spec: ProcessSpec) -> "subprocess.Popen[bytes]":
    log = spec.log_path.open("ab")
    return subprocess.Popen(
        spec.argv,
        env=spec.env,
        cwd=spec.cwd,
        stdout=log,
        stderr=log,
        start_new_session=True,
        user=spec.user,
        group=spec.user,
        extra_groups=None if spec.user is None else [],
        preexec_fn=die_with_parent(os.getpid()),  # where the tests are killed
    )


def _wait(spec: ProcessSpec) -> None:
    async def ready() -> None:
        async with asyncio.timeout(60):
            while not await spec.ready():
                await asyncio.sleep(0.03)

    asyncio.run(ready())


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass through: PostgreSQL runs as nobody when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="ironclaw-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def open_root() -> Iterator[Path]:
    """The session's own folder for servers and fleets. pytest's are closed to other users."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A test's own folder for a fleet."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def state(open_root: Path) -> StateDirectory:
    """A state directory for the session's servers."""
    found = StateDirectory(open_root / "servers")
    found.create()
    return found


@pytest.fixture(scope="session")
def postgres_url(state: StateDirectory) -> Iterator[str]:
    """The superuser's URL of a real PostgreSQL."""
    if has_image(POSTGRES_IMAGE):
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
            yield container.get_connection_url()
        return
    server = EmbeddedPostgres(state, free_port())
    server.prepare()
    process = _run(server.spec())
    try:
        _wait(server.spec())
        yield server.url("postgres")
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def valkey_server(state: StateDirectory) -> Iterator[str]:
    """Run a real Valkey while the context is open; yields its URL."""
    if has_image(VALKEY_IMAGE):
        from testcontainers.community.redis import RedisContainer

        with RedisContainer(VALKEY_IMAGE) as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
        return
    server = EmbeddedValkey(state, free_port())
    server.prepare()
    process = _run(server.spec())
    try:
        _wait(server.spec())
        yield server.url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def valkey_url(state: StateDirectory) -> Iterator[str]:
    """The URL of a real Valkey, which the session's fleet uses too."""
    with valkey_server(state) as url:
        yield url


@pytest.fixture
def own_valkey_url(open_path: Path) -> Iterator[str]:
    """The URL of a Valkey of the test's own, to empty and to count the clients of."""
    found = StateDirectory(open_path / "valkey")
    found.create()
    with valkey_server(found) as url:
        yield url


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key pair for every service."""
    folder = tmp_path_factory.mktemp("keys")
    for service in Service:
        create_key(folder, service.value)
    return folder


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """The superuser's URL of an empty database of the test's own."""
    async with new_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def fleet(
    open_root: Path, tmp_path_factory: pytest.TempPathFactory, postgres_url: str, valkey_url: str
) -> Iterator[FleetUnderTest]:
    """A running fleet, shared by the tests that do not harm it. It has many theaters, keys and runs."""
    asyncio.run(ensure_database(postgres_url))
    home = open_root / "fleet"
    environ = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url}
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    with FleetUnderTest.started(home, environ, allowed) as running:
        yield running


@pytest.fixture(scope="session")
def _spare(open_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    with FleetUnderTest.started(open_root / "spare", {}, allowed) as running:
        yield running


@pytest.fixture
def spare(_spare: FleetUnderTest) -> FleetUnderTest:
    """A fleet of standard settings on servers of its own, which tests may harm; it is whole before each of them."""
    _spare.make_whole()
    return _spare
