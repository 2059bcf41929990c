"""Migrations: numbered, forward only, and never changed once applied."""

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
