"""Every table of every service, copied out as of one moment and in again.

Names of schemas, tables and columns are those of our own catalogue.
"""

from graphlib import TopologicalSorter
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ironclaw_fleet.backup.manifest import SchemaCopy, TableCopy

MIGRATIONS_TABLE = "schema_migrations"
_TABLES = """
select c.relname as name,
       array(select a.attname::text from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
               and a.atttypid <> 'xid8'::regtype -- transactions of another cluster mean nothing here
             order by a.attnum) as columns
from pg_class c where c.relnamespace = to_regnamespace($1) and c.relkind = 'r' and c.relname <> $2
order by c.relname
"""
_COUNT_TIMEOUT_SECONDS = 3_600.0
_REFERENCES = """
select c.relname::text as name, needed.relname::text as needs
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class needed on needed.oid = k.confrelid
where k.contype = 'f' and c.relnamespace = to_regnamespace($1) and c.oid <> needed.oid
"""
_IDENTITIES = """
select attname::text as name from pg_attribute
where attrelid = format('%I.%I', $1::text, $2::text)::regclass and attidentity <> ''
"""


def service_files(service: str) -> Traversable:
    """Return the files that come with a service, found without importing it."""
    return files(f"ironclaw_{service}")


async def copy_out(connection: Any, schema: str, folder: Path) -> SchemaCopy:
    """Copy a schema's tables to `folder`/TABLE.copy; the caller's transaction says as of when."""
    folder.mkdir(parents=True)
    tables: dict[str, TableCopy] = {}
    for row in await connection.fetch(_TABLES, schema, MIGRATIONS_TABLE):
        said = await connection.copy_from_table(
            row["name"],
            schema_name=schema,
            columns=row["columns"],
            output=folder / f"{row['name']}.copy",
            timeout=_COUNT_TIMEOUT_SECONDS,
        )
        tables[row["name"]] = TableCopy(columns=row["columns"], rows=int(said.rsplit(" ", 1)[1]))
    version = await connection.fetchval(f'select max(version) from "{schema}".{MIGRATIONS_TABLE}')  # noqa: S608
    return SchemaCopy(migration=version or 0, tables=tables)


async def copy_in(connection: Any, schema: str, kept: SchemaCopy, folder: Path) -> None:
    """Copy a schema's tables back, those that others refer to first; identities go on after the highest."""
    needs: dict[str, set[str]] = {name: set() for name in kept.tables}
    for row in await connection.fetch(_REFERENCES, schema):
        needs.setdefault(row["name"], set()).add(row["needs"])
    for name in TopologicalSorter(needs).static_order():
        table = kept.tables.get(name)
        if table is None:  # a later migration's, which an older backup has not got
            continue
        # What a migration put there is in the backup too, as it was by then.
        await connection.execute(f'delete from "{schema}"."{name}"')  # noqa: S608 - names of our own tables
        await connection.copy_to_table(
            name,
            schema_name=schema,
            columns=table.columns,
            source=folder / f"{name}.copy",
            timeout=_COUNT_TIMEOUT_SECONDS,
        )
        for identity in await connection.fetch(_IDENTITIES, schema, name):
            column = identity["name"]
            highest = f'select coalesce(max("{column}"), 0) + 1 from "{schema}"."{name}"'  # noqa: S608
            sequence = f"pg_get_serial_sequence('{schema}.{name}', '{column}')"
            await connection.execute(f"select setval({sequence}, ({highest}), false)")


async def holds_a_fleet(connection: Any, schema: str) -> bool:
    """Tell whether a schema was migrated before."""
    return await connection.fetchval("select to_regclass($1) is not null", f"{schema}.{MIGRATIONS_TABLE}")
