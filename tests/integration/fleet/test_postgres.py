"""Embedded PostgreSQL: where it lies, as whom it runs, what it shows, and what a kill -9 costs."""

import asyncio
import os
import shutil
import signal
import site
import stat
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from ironclaw_fleet.embedded import binaries, sharedcopy
from ironclaw_fleet.embedded.placement import OUTSIDE, DataMismatch
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.privilege import NOBODY
from ironclaw_fleet.embedded.roles import ensure_database, ensure_roles
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.process import Phase
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor
from tests.integration.fleet.conftest import SUPERVISE, Supervised, eventually, modes_above, runs

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what root does")
WRITERS, KILLS = 8, 3
# What asyncpg raises when a server vanishes: an InternalClientError, too, when it does so between two steps.
CUT_OFF = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Server:
    """A supervised PostgreSQL."""

    def __init__(self, state: StateDirectory) -> None:
        self.state = state
        self.port = free_port()
        self.embedded = EmbeddedPostgres(state, self.port)
        self.supervisor = Supervisor()

    @property
    def pid(self) -> int:
        pid = self.supervisor.states()[0].pid
        assert pid is not None
        return pid

    def processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(self.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    async def fetchval(self, query: str) -> object:
        connection = await asyncpg.connect(self.embedded.url("postgres"), timeout=10)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


@asynccontextmanager
async def running(state: StateDirectory) -> AsyncGenerator[Server]:
    server = Server(state)
    server.embedded.prepare()
    server.supervisor.add(server.embedded.spec())
    try:
        await server.supervisor.wait_ready()
        yield server
    finally:
        await server.supervisor.stop()


async def test_given_an_open_folder_when_postgres_runs_then_it_lies_there_and_is_as_safe_as_promised(
    open_state: StateDirectory,
) -> None:
    before = modes_above(open_state.path)
    async with running(open_state) as server:
        data = open_state.postgres / "data"
        assert modes_above(open_state.path) == before
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert (data / "PG_VERSION").read_text().strip() == "18"
        assert not (open_state.postgres / "location").exists()
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "password_encryption": "scram-sha-256",
            "unix_socket_directories": "",
        }.items():
            assert await server.fetchval(f"show {setting}") == value, setting
        listening = {
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections(kind="all")
            if connection.status == psutil.CONN_LISTEN or connection.family.name == "AF_UNIX"
        }
        assert listening == {"127.0.0.1"}
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres")
        rules = [line for line in (data / "pg_hba.conf").read_text().splitlines() if line[:1].isalpha()]
        assert {rule.split()[-1] for rule in rules} == {"scram-sha-256"}


async def test_given_the_password_when_processes_files_and_logs_are_looked_at_then_it_is_in_its_file_only(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        database = await ensure_database(server.embedded.url("postgres"))
        connection = await asyncpg.connect(database, timeout=10)
        await connection.execute("alter role postgres set log_statement = 'all'")
        await connection.close()
        await ensure_roles(database, "ledger", open_state.keys)
        secrets = {path: path.read_text().strip() for path in open_state.keys.glob("*.password")}
        assert len(secrets) == 3
        said = (open_state.logs / "postgres.log").read_text()
        assert "create role ledger login" in said
        shown = said
        for process in server.processes():
            with suppress(psutil.NoSuchProcess):  # some come and go
                shown += " ".join(process.cmdline()) + str(process.environ())
        for path, secret in secrets.items():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert len(secret) >= 32
            assert secret not in shown, path.name
        assert [path.name for path in open_state.postgres.iterdir()] == ["data"]  # nothing of initdb is left


async def test_given_a_service_when_it_turns_to_the_default_databases_then_it_is_denied(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        database = await ensure_database(server.embedded.url("postgres"))
        urls = await ensure_roles(database, "ledger", open_state.keys)
        for name in ("postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(urls.app.replace("/ironclaw?", f"/{name}?"), timeout=10)


@as_root
async def test_given_root_when_postgres_runs_then_every_process_is_nobodys_and_none_has_a_power(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        for process in server.processes():
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):  # some come and go
                continue
            fields = dict(line.split(":", 1) for line in status.splitlines())
            assert {int(number) for number in fields["Uid"].split()} == {NOBODY}
            assert {int(number) for number in fields["Gid"].split()} == {NOBODY}
            assert fields["Groups"].split() == []
            assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0


@as_root
async def test_given_a_home_that_is_closed_when_postgres_runs_then_no_mode_changes_and_a_pointer_leads_to_it(
    closed_state: StateDirectory,
) -> None:
    before = modes_above(closed_state.path)
    assert before[Path("/root")] & 0o077 == 0, "this test needs a closed /root"
    async with running(closed_state) as server:
        await server.fetchval("create table kept ()")
        assert set(psutil.Process(server.pid).uids()) == {NOBODY}
    assert modes_above(closed_state.path) == before
    parent = Path((closed_state.postgres / "location").read_text())
    assert parent.parent == OUTSIDE
    found = parent.lstat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, 0o700)
    moved = StateDirectory(closed_state.path.with_name("moved"))
    closed_state.path.rename(moved.path)
    try:
        async with running(moved) as server:
            assert await server.fetchval("select to_regclass('kept') is not null")
    finally:
        moved.path.rename(closed_state.path)


@as_root
def test_given_a_pointer_when_what_it_names_is_gone_then_no_empty_database_takes_its_place(
    closed_state: StateDirectory,
) -> None:
    EmbeddedPostgres(closed_state, free_port()).prepare()
    parent = Path((closed_state.postgres / "location").read_text())
    shutil.rmtree(parent)
    with pytest.raises(DataMismatch, match="is gone: restore it"):
        EmbeddedPostgres(closed_state, free_port()).prepare()
    assert not parent.exists()


@as_root
def test_given_data_in_place_when_the_folder_above_is_closed_then_it_is_refused_not_begun_anew(
    open_state: StateDirectory,
) -> None:
    EmbeddedPostgres(open_state, free_port()).prepare()
    open_state.path.parent.chmod(0o700)
    with pytest.raises(DataMismatch, match="cannot pass through"):
        EmbeddedPostgres(open_state, free_port()).prepare()
    assert stat.S_IMODE(open_state.path.parent.stat().st_mode) == 0o700


@as_root
@pytest.mark.parametrize("user", [NOBODY, 61234], ids=["named", "nameless"])
async def test_given_an_ordinary_user_when_postgres_runs_then_it_is_that_users_and_stops_with_it(
    open_state: StateDirectory, supervise: Callable[..., Supervised], user: int
) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = next(
        (
            path
            for path in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}")
            if Path(path).exists()
            and subprocess.run(
                ["/usr/bin/test", "-x", Path(path).resolve()], user=user, group=user
            ).returncode
            == 0
        ),
        None,
    )
    if python is None:
        pytest.skip(f"no {version} here that another user may run")
    packages = next(path for path in site.getsitepackages() if path.endswith("site-packages"))
    run = f"import site, runpy; site.addsitedir({packages!r}); runpy.run_path({str(SUPERVISE)!r}, run_name='__main__')"
    os.chown(open_state.path.parent, user, user)
    state = StateDirectory(open_state.path.with_name("own"))
    supervised = supervise(state, "postgres", python=(python, "-c", run), user=user)
    postmaster = psutil.Process(supervised.said["child"])
    assert set(postmaster.uids()) == {user}
    assert (state.postgres / "data").stat().st_uid == user
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert not (state.postgres / "location").exists()
    connection = await asyncpg.connect(supervised.said["url"], timeout=10)
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0
    assert not runs(postmaster.pid)


@as_root
@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
async def test_given_root_that_may_become_nobody_else_when_postgres_runs_then_it_is_in_a_user_namespace(
    closed_state: StateDirectory, supervise: Callable[..., Supervised], ends: signal.Signals
) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("no setpriv here to take the right away")
    before = modes_above(closed_state.path)
    words = (setpriv, "--bounding-set", "-setuid,-setgid,-chown", "--inh-caps", "-all")
    supervised = supervise(closed_state, "postgres", words=words)
    postmaster = psutil.Process(supervised.said["child"])
    everyone = [postmaster, *postmaster.children(recursive=True)]
    inside, outside, _ = Path(f"/proc/{postmaster.pid}/uid_map").read_text().split()
    assert (inside, outside) == (str(NOBODY), "0")
    assert (closed_state.postgres / "data" / "PG_VERSION").exists()
    assert modes_above(closed_state.path) == before
    connection = await asyncpg.connect(supervised.said["url"], timeout=10)
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    supervised.process.send_signal(ends)
    await eventually(lambda: not any(runs(process.pid) for process in everyone), "the end of every process")


async def test_given_a_supervisor_with_postgres_when_killed_then_no_server_process_is_left(
    open_state: StateDirectory, supervise: Callable[..., Supervised]
) -> None:
    supervised = supervise(open_state, "postgres")
    postmaster = psutil.Process(supervised.said["child"])
    everyone = [postmaster, *postmaster.children(recursive=True)]
    assert len(everyone) > 3
    supervised.process.kill()
    await eventually(
        lambda: not any(runs(process.pid) for process in everyone), "the end of every process", 5
    )
    async with running(open_state) as server:  # and nothing stands in the way of the next start
        assert await server.fetchval("select 1") == 1


@pytest.mark.trust
async def test_given_writers_when_postgres_is_killed_again_and_again_then_no_acknowledged_row_is_lost_or_doubled(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        await server.fetchval("create table rows (writer int, number int)")
        acknowledged: set[tuple[int, int]] = set()
        tried: set[tuple[int, int]] = set()
        ending = asyncio.Event()

        async def write(writer: int) -> None:
            number = 0
            while not ending.is_set():
                with suppress(*CUT_OFF):
                    connection = await asyncpg.connect(server.embedded.url("postgres"), timeout=5)
                    try:
                        while not ending.is_set():
                            number += 1
                            tried.add((writer, number))
                            await connection.execute("insert into rows values ($1, $2)", writer, number)
                            acknowledged.add((writer, number))
                    finally:
                        connection.terminate()
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                tasks.create_task(write(writer))
            for kill in range(1, KILLS + 1):
                enough = len(acknowledged) + 200
                await eventually(lambda: len(acknowledged) >= enough, "writing")  # noqa: B023
                server.supervisor.kill("postgres", signal.SIGKILL)
                await eventually(lambda: server.supervisor.states()[0].restarts >= kill, "the end")  # noqa: B023
                await server.supervisor.wait_ready()
            ending.set()
        connection = await asyncpg.connect(server.embedded.url("postgres"), timeout=10)
        found = [tuple(row) for row in await connection.fetch("select writer, number from rows")]
        await connection.close()
        assert len(acknowledged) >= 200 * KILLS
        assert acknowledged <= set(found)
        assert set(found) <= tried
        assert len(found) == len(set(found))


async def test_given_a_pid_file_whose_number_is_another_process_of_the_user_when_started_then_it_starts(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        await server.fetchval("create table kept ()")
        server_pid = server.pid
        pid_file = open_state.postgres / "data" / "postmaster.pid"
        left = pid_file.read_text()
    user = NOBODY if os.geteuid() == 0 else None
    other = subprocess.Popen(["/bin/sleep", "60"], user=user, group=user, cwd="/")
    try:
        pid_file.write_text(left.replace(str(server_pid), str(other.pid), 1))
        if user is not None:
            os.chown(pid_file, user, user)
        async with running(open_state) as server:
            assert await server.fetchval("select to_regclass('kept') is not null")
            assert server.supervisor.states()[0].restarts == 0
    finally:
        other.kill()
        other.wait()


async def test_given_a_server_that_runs_when_another_is_prepared_on_its_data_then_its_pid_file_stays(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        pid_file = open_state.postgres / "data" / "postmaster.pid"
        before = pid_file.read_text()
        second = EmbeddedPostgres(open_state, free_port())
        second.prepare()
        assert pid_file.read_text() == before
        pid_file.write_text("")  # cut short, and the server lives: still not ours to remove
        EmbeddedPostgres(open_state, free_port()).prepare()
        assert pid_file.exists()
        pid_file.write_text(before)
        refused = Supervisor()
        refused.add(second.spec())
        await eventually(lambda: refused.states()[0].phase is Phase.BACKOFF, "the refusal")
        await refused.stop()
        assert await server.fetchval("select 1") == 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            lambda state: (state.postgres / "data" / "PG_VERSION").write_text("17\n"),
            "PostgreSQL 17.*pg_dumpall",
        ),
        (lambda state: (state.postgres / "data" / "PG_VERSION").unlink(), "no PostgreSQL data folder"),
        (lambda state: (state.keys / "postgres.password").unlink(), "postgres.password is missing"),
    ],
    ids=["major", "damaged", "password"],
)
def test_given_data_that_cannot_be_used_when_prepared_then_it_is_refused_and_left_alone(
    open_state: StateDirectory, harm: Callable[[StateDirectory], object], said: str
) -> None:
    EmbeddedPostgres(open_state, free_port()).prepare()
    harm(open_state)
    data = open_state.postgres / "data"
    before = sorted(data.rglob("*"))
    with pytest.raises(DataMismatch, match=said):
        EmbeddedPostgres(open_state, free_port()).prepare()
    assert sorted(data.rglob("*")) == before


def test_given_an_initdb_that_was_killed_when_prepared_again_then_the_data_is_made_whole(
    open_state: StateDirectory,
) -> None:
    EmbeddedPostgres(open_state, free_port()).prepare()
    shutil.move(open_state.postgres / "data", open_state.postgres / ".making-left")
    (open_state.postgres / ".making-left" / "PG_VERSION").unlink()
    EmbeddedPostgres(open_state, free_port()).prepare()
    assert [path.name for path in open_state.postgres.iterdir()] == ["data"]


async def test_given_no_package_when_the_system_has_postgres_then_that_one_runs(
    open_state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "POSTGRES_PACKAGE", "absent_postgres_package")
    system = binaries.system_postgres_bin()
    if system is None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(binaries.NoBinaries, match="absent_postgres_package is not installed"):
            EmbeddedPostgres(open_state, free_port()).prepare()
        return
    async with running(open_state) as server:
        assert psutil.Process(server.pid).exe().startswith(str(system))


@as_root
def test_given_a_shared_copy_when_a_file_is_lost_or_the_place_is_not_roots_then_it_is_mended_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharedcopy, "CACHE", tmp_path / "cache")
    package = binaries.package_folder(binaries.POSTGRES_PACKAGE)
    copy = sharedcopy.shared_copy(package, ("pginstall",))
    program = copy / package.name / "pginstall" / "bin" / "postgres"
    made = program.stat()
    assert stat.S_IMODE(made.st_mode) == 0o755
    assert not list(copy.rglob("*.py"))
    assert sharedcopy.shared_copy(package, ("pginstall",)) == copy
    assert program.stat().st_ino == made.st_ino
    program.write_bytes(b"cut short")
    assert sharedcopy.shared_copy(package, ("pginstall",)) == copy
    assert program.stat().st_size == made.st_size
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".lock", copy.name]
    os.chown(copy, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="not root's own"):
        sharedcopy.shared_copy(package, ("pginstall",))


@as_root
def test_given_a_package_that_was_altered_when_copied_then_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharedcopy, "CACHE", tmp_path / "cache")
    package = tmp_path / "packages" / "some_server"
    (package / "pginstall" / "bin").mkdir(parents=True)
    (package / "pginstall" / "bin" / "postgres").write_text("not what was recorded")
    record = package.parent / "some_server-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text(f"some_server/pginstall/bin/postgres,sha256={'A' * 43},21\n")
    with pytest.raises(OSError, match="not what its package recorded"):
        sharedcopy.shared_copy(package, ("pginstall",))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


async def test_given_data_when_the_server_starts_again_then_it_is_quick_and_the_rows_are_there(
    open_state: StateDirectory,
) -> None:
    async with running(open_state) as server:
        await server.fetchval("create table kept ()")
    started = time.monotonic()
    async with running(open_state) as server:
        assert await server.fetchval("select to_regclass('kept') is not null")
        assert time.monotonic() - started < 10  # a hang, not a measurement
