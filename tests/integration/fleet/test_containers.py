"""What a fleet in containers stands on: its secrets, and the job that migrates."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import asyncpg
import pytest

from ironclaw_chassis.database import migrate, read_migrations, wait_until_migrated
from ironclaw_chassis.identity import load_private_key, load_public_key
from ironclaw_chassis.probe import serves
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Unavailable
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor
from tests.support.waiting import until


@asynccontextmanager
async def server(state: StateDirectory, port: int) -> AsyncGenerator[EmbeddedPostgres]:
    """A PostgreSQL of the test's own: roles belong to the whole server."""
    postgres, supervisor = EmbeddedPostgres(state, port), Supervisor()
    await asyncio.to_thread(postgres.prepare)
    supervisor.add(postgres.spec())
    try:
        await supervisor.wait_ready()
        yield postgres
    finally:
        await supervisor.stop()


def ironclaw(*arguments: str, **environ: str) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IRONCLAW_")}
    return subprocess.Popen(
        [sys.executable, "-m", "ironclaw_fleet", *arguments],
        env={**clean, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process: "subprocess.Popen[str]", code: int = 0) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def make_secrets(folder: Path, port: int) -> dict[str, str]:
    made = ironclaw(
        *("secrets", "create", str(folder)),
        *("--postgres", f"127.0.0.1:{port}", "--valkey", "127.0.0.1:6379"),
    )
    assert str(folder / "operator.apikey") in done(made)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_given_a_folder_when_secrets_are_created_twice_then_they_are_whole_private_and_stay(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "secrets"
    first = make_secrets(folder, 5432)
    assert first == make_secrets(folder, 5432)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    for service in Service:
        private = load_private_key(folder / f"{service.value}.key")
        public = load_public_key(folder / f"{service.value}.pub")
        assert private.public_key().public_bytes_raw() == public.public_bytes_raw()
    passwords = [text for name, text in first.items() if name.endswith(".password")]
    assert len(set(passwords)) == len(passwords) == 2 * len(WITH_DATABASE) + 2
    assert f"requirepass {first['valkey.password']}" in first["valkey.conf"]
    assert first["redis.url"] == f"redis://:{first['valkey.password']}@127.0.0.1:6379/0"


async def test_given_two_jobs_at_once_when_they_migrate_then_both_end_well_and_roles_reach_their_schemas(
    tmp_path: Path, open_state: StateDirectory
) -> None:
    port = free_port()
    async with server(open_state, port) as postgres:
        folder = tmp_path / "secrets"
        make_secrets(folder, port)
        (tmp_path / "admin.url").write_text(postgres.url("postgres") + "\n")
        environ = {"DATABASE_URL_FILE": str(tmp_path / "admin.url"), "IRONCLAW_KEYS_DIR": str(folder)}
        jobs = [ironclaw("migrate", **environ) for _ in range(2)]
        for said in [await asyncio.to_thread(done, job) for job in jobs]:
            assert all(f"{service.value}: its schema is up to date" in said for service in WITH_DATABASE)
        for service in WITH_DATABASE:
            connection = await asyncpg.connect((folder / f"{service.value}.database_url").read_text())
            assert await connection.fetchval("select count(*) from schema_migrations") >= 1
            await connection.close()


@pytest.mark.trust
async def test_given_a_job_killed_again_and_again_on_its_way_when_run_once_more_then_it_ends_what_was_begun(
    tmp_path: Path, open_state: StateDirectory
) -> None:
    port = free_port()
    async with server(open_state, port) as postgres:
        folder = tmp_path / "secrets"
        make_secrets(folder, port)
        environ = {"DATABASE_URL": postgres.url("postgres"), "IRONCLAW_KEYS_DIR": str(folder)}
        for lines in range(0, len(WITH_DATABASE), 2):
            job = ironclaw("migrate", **environ)
            assert job.stdout is not None
            for _ in range(lines):
                await asyncio.to_thread(job.stdout.readline)
            await asyncio.sleep(0.05)  # into the next service's files
            job.kill()
            job.communicate()
        said = await asyncio.to_thread(done, ironclaw("migrate", **environ))
        assert all(f"{service.value}: its schema is up to date" in said for service in WITH_DATABASE)
        for service in WITH_DATABASE:
            connection = await asyncpg.connect((folder / f"{service.value}.database_url").read_text())
            known = len(read_migrations(files(f"ironclaw_{service.value}") / "migrations"))
            assert await connection.fetchval("select count(*) from schema_migrations") == known, service
            await connection.close()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgresql://postgres@127.0.0.1:1/postgres"}, "DATABASE_URL cannot be used"),
        ({"DATABASE_URL_FILE": "/nowhere/url"}, "DATABASE_URL_FILE: /nowhere/url cannot be read"),
    ],
)
def test_given_no_database_when_the_job_runs_then_it_fails_and_says_what_to_set(
    environ: dict[str, str], said: str
) -> None:
    process = ironclaw("migrate", **environ)
    text, _ = process.communicate(timeout=60)
    assert process.returncode in {1, 2} and said in text


async def test_given_services_that_come_before_the_migration_when_it_is_done_then_they_go_on_without_a_restart(
    tmp_path: Path, open_state: StateDirectory
) -> None:
    port, own = free_port(), free_port()
    folder = tmp_path / "secrets"
    make_secrets(folder, port)
    environ = {
        "PATH": os.environ["PATH"],
        "IRONCLAW_KEYS_DIR": str(folder),
        "IRONCLAW_LEDGER_PORT": str(own),
        "IRONCLAW_LEDGER_DATABASE_URL_FILE": str(folder / "ledger.database_url"),
    }
    log = tmp_path / "ledger.log"
    with log.open("ab") as out:
        program = [sys.executable, "-m", "ironclaw_ledger"]
        early, stopped = (subprocess.Popen(program, env=environ, stdout=out, stderr=out) for _ in range(2))
    try:

        async def waits(for_what: str) -> bool | None:
            return for_what in log.read_text() or None

        await until(
            lambda: waits("the database is away: ConnectionRefusedError"), 30, "a wait for the server"
        )
        stopped.terminate()
        assert await asyncio.to_thread(stopped.wait, 5) != 0
        async with server(open_state, port) as postgres:
            await until(lambda: waits("the database is away: Invalid"), 30, "a wait for the role")
            admin = {"DATABASE_URL": postgres.url("postgres"), "IRONCLAW_KEYS_DIR": str(folder)}
            await asyncio.to_thread(done, ironclaw("migrate", **admin))

            async def served() -> bool | None:
                return await asyncio.to_thread(serves, own) or None

            await until(served, 30, "the ledger")
            assert early.poll() is None
    finally:
        for process in (early, stopped):
            process.kill()
            process.wait(10)


async def test_given_a_schema_that_stays_behind_when_a_service_has_waited_long_enough_then_it_says_what_to_do(
    database_url: str,
) -> None:
    migrations = files("ironclaw_learning") / "migrations"
    with pytest.raises(Unavailable, match=r"its schema is at 0, this program needs \d+: migrate it"):
        await wait_until_migrated(database_url, migrations, 0)
    await migrate(database_url, migrations, until=1)
    with pytest.raises(Unavailable, match="its schema is at 1"):
        await wait_until_migrated(database_url, migrations, 0)
    await migrate(database_url, migrations)
    await wait_until_migrated(database_url, migrations, 0)
