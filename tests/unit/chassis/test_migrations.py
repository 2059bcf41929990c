"""Migrations: numbered, forward only, and never changed once applied."""

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from ironclaw_chassis.database import MigrationError, migrate, pending, read_migrations


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, sql in files.items():
        (folder / f"{name}.sql").write_text(sql)
    return folder


def test_given_a_gap_or_a_bad_name_when_read_then_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="0003_c"):
        read_migrations(write(tmp_path / "gap", **{"0001_a": "", "0003_c": ""}))
    with pytest.raises(MigrationError, match="begin"):
        read_migrations(write(tmp_path / "name", begin=""))


def test_given_a_changed_file_or_a_newer_database_when_compared_then_refused(tmp_path: Path) -> None:
    migrations = read_migrations(write(tmp_path / "m", **{"0001_a": "select 1"}))
    with pytest.raises(MigrationError, match="changed"):
        pending(migrations, {1: "another digest"})
    with pytest.raises(MigrationError, match="upgrade"):
        pending(migrations, {1: migrations[0].sha256, 2: "x"})
    assert pending(migrations, {1: migrations[0].sha256}) == []


async def test_given_a_migration_that_fails_half_way_when_mended_then_nothing_of_it_was_kept(
    tmp_path: Path, database_url: str
) -> None:
    folder = write(
        tmp_path / "m", **{"0001_a": "create table a (x int)", "0002_b": "create table b (x int); select 1/0"}
    )
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url, folder)
    write(folder, **{"0002_b": "create table b (x int)"})
    assert await migrate(database_url, folder) == 1
    assert await migrate(database_url, folder) == 0


@pytest.mark.trust
async def test_given_a_migration_whose_process_is_killed_half_way_when_run_again_then_it_is_whole(
    tmp_path: Path, database_url: str
) -> None:
    folder = write(
        tmp_path / "m",
        **{
            "0001_a": "create table a (x int)",
            "0002_b": "create table b (x int); insert into b values (1); select pg_sleep(2)",
        },
    )
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom ironclaw_chassis.database import migrate\n"
        "asyncio.run(migrate(sys.argv[1], Path(sys.argv[2])))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, database_url, str(folder)])
    watching = await asyncpg.connect(database_url)
    try:
        half_way = "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%' and pid != pg_backend_pid()"
        while not await watching.fetchval(half_way):
            assert process.poll() is None
            await asyncio.sleep(0.01)
        process.kill()
        process.wait()
        # The server may be at the dead process's statement still: the lock keeps the next one waiting meanwhile.
        assert await migrate(database_url, folder) == 1
        assert await watching.fetchval("select count(*) from b") == 1
        assert await watching.fetchval("select count(*) from schema_migrations") == 2
    finally:
        process.kill()
        process.wait()
        await watching.close()
