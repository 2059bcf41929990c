"""Restore a backup into a fresh state directory, as it was or as of an earlier point, and prove it."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.database import migrate
from ironclaw_contracts.as_of import parse_as_of
from ironclaw_contracts.endpoints.ledger_proof import Rebuilt
from ironclaw_contracts.enums import Service
from ironclaw_fleet.backup.manifest import Broken, Manifest, TheaterCopy
from ironclaw_fleet.backup.package import unpack
from ironclaw_fleet.backup.proof import Truth, check_chain, mainline_of, merges_of, open_worktrees
from ironclaw_fleet.backup.servers import database_of
from ironclaw_fleet.backup.tables import copy_in, holds_a_fleet, service_files
from ironclaw_fleet.backup.taking import RECORD_FILE, TheaterRecord, vault_root
from ironclaw_fleet.embedded.roles import ServiceUrls, ensure_roles
from ironclaw_fleet.secretfile import write_private
from ironclaw_fleet.statedir import StateDirectory

_REBUILD_SECONDS = 3_600.0


class Restored(Struct, frozen=True):
    """What was restored and proven: the chain up to its head, and the repositories' mainlines."""

    head_seq: int
    head_hash: str
    state_sha256: str
    theaters: dict[str, str]


async def restore(
    source: Path, state: StateDirectory, environ: Mapping[str, str], as_of: str | None = None
) -> Restored:
    """Restore a backup. Raises `Broken`; what was begun then stays, for nobody to mistake it for a fleet."""
    if any((state.vault / "theaters").glob("*")) or any(state.keys.glob("*")):
        raise Broken(f"{state.path} holds a fleet already; restore into a fresh IRONCLAW_HOME")
    folder = Path(tempfile.mkdtemp(prefix=".restore-", dir=state.path))
    try:
        manifest = await asyncio.to_thread(unpack, source, folder)
        for path in (folder / "keys").iterdir():
            write_private(state.keys / path.name, path.read_text(encoding="utf-8"))
        async with database_of(state, environ) as url:
            truth, rebuilt = await _database(url, manifest, folder, state, environ, as_of)
        heads = {
            theater_id: await _theater(theater_id, kept, folder, vault_root(state, environ), truth, as_of)
            for theater_id, kept in manifest.theaters.items()
        }
        return Restored(truth.head_seq, truth.head_hash, rebuilt.state_sha256, heads)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def _database(
    url: str,
    manifest: Manifest,
    folder: Path,
    state: StateDirectory,
    environ: Mapping[str, str],
    as_of: str | None,
) -> tuple[Truth, Rebuilt]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for schema in manifest.schemas:
            if await holds_a_fleet(connection, schema):
                raise Broken(
                    f"the database holds a fleet's schema {schema} already; restore into an empty one"
                )
        urls = {schema: await ensure_roles(url, schema, state.keys) for schema in manifest.schemas}
        for schema, kept in manifest.schemas.items():
            migrations = service_files(schema) / "migrations"
            await migrate(urls[schema].owner, migrations, until=kept.migration)
            async with connection.transaction():
                await copy_in(connection, schema, kept, folder / "database" / schema)
            await migrate(urls[schema].owner, migrations)
        truth = await check_chain(connection, manifest)
        if as_of is not None:
            truth = await _cut(connection, manifest, await _point(connection, as_of, truth))
        _refuse_others_worktrees(await open_worktrees(connection), vault_root(state, environ))
    finally:
        await connection.close()
    return truth, await _rebuild(urls[Service.LEDGER.value], state, environ)


async def _point(connection: Any, as_of: str, truth: Truth) -> tuple[int, datetime]:
    """Return the seq to go back to, and the moment for what has no seq."""
    point = parse_as_of(as_of)
    if isinstance(point, datetime):
        seq = await connection.fetchval(
            "select coalesce((select seq - 1 from ledger.events where ts > $1 order by seq limit 1), $2)",
            point,
            truth.head_seq,
        )
        return seq, point
    if not 0 < point <= truth.head_seq:
        raise Broken(f"--as-of {as_of}: the backup's ledger has the events 1 to {truth.head_seq}")
    return point, await connection.fetchval("select ts from ledger.events where seq = $1", point)


async def _cut(connection: Any, manifest: Manifest, point: tuple[int, datetime]) -> Truth:
    """Have each service's own script forget what came after, then check the chain up to there."""
    seq, moment = point
    async with connection.transaction():
        await connection.execute("select set_config('ironclaw.seq', $1, true)", str(seq))
        await connection.execute("select set_config('ironclaw.moment', $1, true)", moment.isoformat())
        for schema in manifest.schemas:
            await connection.execute("select set_config('search_path', $1, true)", schema)
            script = (service_files(schema) / "as_of.sql").read_text(encoding="utf-8")
            await connection.execute(script)
    return await check_chain(connection, manifest, until=seq)


def _refuse_others_worktrees(paths: dict[str, str], root: Path) -> None:
    """Refuse where open orders would go on in the worktrees of the fleet that was backed up."""
    for order_id, path in paths.items():
        if Path(path).is_dir() and not Path(path).is_relative_to(root):
            raise Broken(
                f"order {order_id} is open and its worktree {path} is still there: two fleets would work in"
                " it. Move the other fleet's state directory away, then restore into a fresh one"
            )


async def _rebuild(urls: ServiceUrls, state: StateDirectory, environ: Mapping[str, str]) -> Rebuilt:
    """Have the ledger derive every snapshot again; it alone knows how."""
    env = {name: environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in environ}
    env |= {"IRONCLAW_HOME": str(state.path), "IRONCLAW_LEDGER_DATABASE_URL": urls.app}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ironclaw_ledger", "rebuild"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_REBUILD_SECONDS):
            said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise Broken(f"the snapshots cannot be rebuilt: {complained.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(said.splitlines()[-1], type=Rebuilt)


async def _theater(
    theater_id: str, kept: TheaterCopy, folder: Path, root: Path, truth: Truth, as_of: str | None
) -> str:
    """Restore a repository and return its mainline's head, which holds every merge that the ledger names.

    A user's own repository comes back as one of the vault's: where it lay is not ours to write.
    """
    place, copy = root / "theaters" / theater_id, folder / "theaters" / theater_id
    await asyncio.to_thread(place.mkdir, parents=True)
    wanted = kept.head if as_of is None else mainline_of(truth, theater_id) or kept.head
    repository = await ironclaw_git.restore_bundle(
        copy / "repo.bundle", place / "repo", kept.mainline, wanted
    )
    missing = [
        commit
        for commit in merges_of(truth, theater_id)
        if not await repository.contains_all(wanted, [commit])
    ]
    if missing:
        raise Broken(
            f"theater {theater_id}: its mainline {wanted} lacks the merge {missing[0]} of the ledger"
        )
    if (copy / "archive").is_dir():
        await asyncio.to_thread(shutil.copytree, copy / "archive", place / "archive")
    record = TheaterRecord(theater_id, str(place / "repo"), kept.mainline, owned=True)
    write_private(place / RECORD_FILE, msgspec.json.encode(record).decode())
    os.sync()
    return wanted
