"""Least privilege: what a service's roles can do in PostgreSQL, and what they cannot."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from ironclaw_fleet.embedded.roles import ServiceUrls, ensure_roles

DENIED = asyncpg.InsufficientPrivilegeError


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


class Services:
    """Two services in one database; the first has a table with a row."""

    def __init__(self, admin: str, keys: Path) -> None:
        self.admin, self.keys = admin, keys
        mark = os.urandom(4).hex()
        self.first, self.second = f"first_{mark}", f"second_{mark}"

    async def ensure(self, service: str) -> ServiceUrls:
        return await ensure_roles(self.admin, service, self.keys)


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> Services:
    found = Services(database_url, tmp_path)
    urls = await found.ensure(found.first)
    async with connected(urls.owner) as owner:
        await owner.execute("create table things (id bigserial primary key, name text)")
        await owner.execute("insert into things (name) values ('one')")
    return found


async def test_given_an_owner_when_it_migrates_then_its_tables_are_in_its_schema(services: Services) -> None:
    urls = await services.ensure(services.first)
    async with connected(urls.owner) as owner:
        assert await owner.fetchval("select current_schema()") == services.first
        await owner.execute("alter table things add column colour text")
        await owner.execute("create index things_name on things (name)")
        await owner.execute("create table more ()")
        assert await owner.fetchval(f"select to_regclass('{services.first}.more') is not null")


async def test_given_a_working_role_when_it_works_then_it_reads_and_writes_what_the_owner_made(
    services: Services,
) -> None:
    urls = await services.ensure(services.first)
    async with connected(urls.app) as app:
        assert await app.fetchval("select name from things") == "one"
        assert await app.fetchval("insert into things (name) values ('two') returning id") == 2
        await app.execute("update things set name = 'three' where id = 2")
        await app.execute("delete from things where id = 1")
        assert [row["name"] for row in await app.fetch("select name from things")] == ["three"]


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine ()",
        "create temporary table mine ()",
        "create table public.mine ()",
        "create schema mine",
        "alter table things add column colour text",
        "drop table things",
        "truncate things",
        "create role mine",
    ],
)
async def test_given_a_working_role_when_it_changes_the_schema_then_it_is_denied(
    services: Services, statement: str
) -> None:
    urls = await services.ensure(services.first)
    async with connected(urls.app) as app:
        with pytest.raises(DENIED):
            await app.execute(statement)


async def test_given_two_services_when_one_looks_at_the_other_then_it_is_denied(services: Services) -> None:
    urls = await services.ensure(services.second)
    for url in (urls.app, urls.owner):
        async with connected(url) as other:
            for statement in (
                f"select * from {services.first}.things",
                f"insert into {services.first}.things (name) values ('x')",
                f"create table {services.first}.mine ()",
                f"set role {services.first}",
                f"set role {services.first}_owner",
            ):
                with pytest.raises(DENIED):
                    await other.execute(statement)


async def test_given_a_role_of_nobodys_when_it_connects_then_it_is_denied(services: Services) -> None:
    stranger = f"stranger_{os.urandom(4).hex()}"
    async with connected(services.admin) as admin:
        await admin.execute(f"create role {stranger} login password 'strange'")
    host = urlsplit(services.admin)
    with pytest.raises(DENIED, match="CONNECT"):
        async with connected(f"postgresql://{stranger}:strange@{host.hostname}:{host.port}{host.path}"):
            pass


async def test_given_roles_when_ensured_again_then_urls_and_rows_stay_and_passwords_are_private(
    services: Services,
) -> None:
    first = await services.ensure(services.first)
    again = await services.ensure(services.first)
    assert first == again
    async with connected(again.app) as app:
        assert await app.fetchval("select count(*) from things") == 1
    files = sorted(path.name for path in services.keys.iterdir())
    assert files == [f"{services.first}.password", f"{services.first}_owner.password"]
    assert {path.stat().st_mode & 0o777 for path in services.keys.iterdir()} == {0o600}
    assert len({path.read_text() for path in services.keys.iterdir()}) == 2


async def test_given_a_lost_password_when_ensured_then_a_new_one_is_set_and_the_old_one_is_refused(
    services: Services,
) -> None:
    before = await services.ensure(services.first)
    (services.keys / f"{services.first}.password").unlink()
    after = await services.ensure(services.first)
    async with connected(after.app) as app:
        assert await app.fetchval("select count(*) from things") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with connected(before.app):
            pass


async def test_given_an_admin_who_is_no_superuser_when_roles_are_ensured_then_they_work(
    database_url: str, tmp_path: Path
) -> None:
    admin = f"admin_{os.urandom(4).hex()}"
    parts = urlsplit(database_url)
    async with connected(database_url) as superuser:
        await superuser.execute(f"create role {admin} login createrole password 'secret'")
        await superuser.execute(f"alter database {parts.path[1:]} owner to {admin}")
    url = f"postgresql://{admin}:secret@{parts.hostname}:{parts.port}{parts.path}"
    service = f"third_{os.urandom(4).hex()}"
    try:
        urls = await ensure_roles(url, service, tmp_path)
        assert await ensure_roles(url, service, tmp_path) == urls
        async with connected(urls.owner) as owner:
            await owner.execute("create table things (id bigint)")
        async with connected(urls.app) as app:
            await app.execute("insert into things values (1)")
            with pytest.raises(DENIED):
                await app.execute("create table mine ()")
    finally:
        async with connected(database_url) as superuser:
            await superuser.execute(f"alter database {parts.path[1:]} owner to current_user")


@pytest.mark.parametrize("service", ["", "Ledger", "a b", 'a"b', "a;drop", "1a", "a\n", "a" * 60])
async def test_given_a_service_that_is_no_name_when_ensured_then_it_is_refused(
    service: str, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        await ensure_roles(database_url, service, tmp_path)
    assert list(tmp_path.iterdir()) == []
