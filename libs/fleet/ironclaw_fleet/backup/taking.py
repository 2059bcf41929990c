"""Take a backup: the database first, the repositories after, so that these hold whatever it speaks of."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

import ironclaw_git
from ironclaw_chassis.app import VERSION
from ironclaw_chassis.identity import load_public_key
from ironclaw_contracts.chain import GENESIS_HASH
from ironclaw_contracts.enums import Service
from ironclaw_fleet.backup.manifest import FORMAT, Broken, Manifest, SchemaCopy, TheaterCopy
from ironclaw_fleet.backup.package import digests, pack
from ironclaw_fleet.backup.servers import database_of
from ironclaw_fleet.backup.tables import copy_out, holds_a_fleet
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.statedir import StateDirectory

RECORD_FILE = "theater.json"
_PASSWORDS = ".password"


class TheaterRecord(msgspec.Struct, frozen=True):
    """theater.json, as the vault writes it."""

    theater_id: str
    repo_path: str
    mainline: str
    owned: bool


def vault_root(state: StateDirectory, environ: Mapping[str, str]) -> Path:
    """Return where the vault keeps theaters."""
    given = environ.get("IRONCLAW_VAULT_ROOT")
    return Path(given).absolute() if given else state.vault


async def take(state: StateDirectory, environ: Mapping[str, str], target: Path) -> Manifest:
    """Write a backup of a fleet, running or not. Raises `Broken` when there is nothing to back up."""
    if not (state.keys / f"{Service.LEDGER}.pub").exists():
        raise Broken(f"{state.path} holds no fleet; set IRONCLAW_HOME to its state directory")
    folder = Path(tempfile.mkdtemp(prefix=".backup-", dir=target.absolute().parent))
    try:
        async with database_of(state, environ) as url:
            schemas, head_seq, head_hash = await _database(url, folder)
        theaters = await _theaters(vault_root(state, environ), folder / "theaters")
        await asyncio.to_thread(_keys, state.keys, folder / "keys")
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            made_at=datetime.now(UTC),
            head_seq=head_seq,
            head_hash=head_hash,
            public_key=load_public_key(state.keys / f"{Service.LEDGER}.pub").public_bytes_raw().hex(),
            schemas=schemas,
            theaters=theaters,
            members=await asyncio.to_thread(digests, folder),
        )
        await asyncio.to_thread(pack, folder, manifest, target)
        return manifest
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def _database(url: str, folder: Path) -> tuple[dict[str, SchemaCopy], int, str]:
    """Copy every schema as of one moment; return them with the ledger's head."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if not await holds_a_fleet(connection, Service.LEDGER.value):
                raise Broken("the database holds no fleet yet; start one with: ironclaw up")
            schemas = {
                service.value: await copy_out(connection, service.value, folder / "database" / service.value)
                for service in sorted(WITH_DATABASE)
                if await holds_a_fleet(connection, service.value)
            }
            head: Any = await connection.fetchrow(
                "select seq, hash from ledger.events order by seq desc limit 1"
            )
    finally:
        await connection.close()
    return (schemas, head["seq"], head["hash"]) if head else (schemas, 0, GENESIS_HASH)


async def _theaters(root: Path, folder: Path) -> dict[str, TheaterCopy]:
    """Bundle every theater's repository, users' own among them, and copy what the vault keeps beside it."""
    theaters: dict[str, TheaterCopy] = {}
    for record_path in sorted((root / "theaters").glob(f"*/{RECORD_FILE}")):
        record = msgspec.json.decode(record_path.read_bytes(), type=TheaterRecord)
        place = folder / record.theater_id
        place.mkdir(parents=True)
        repository = await ironclaw_git.Repository.open(record.repo_path, record.mainline)
        head = await ironclaw_git.bundle_all(repository, place / "repo.bundle")
        archive = record_path.parent / "archive"
        if archive.is_dir():
            await asyncio.to_thread(_copy_present, archive, place / "archive")
        theaters[record.theater_id] = TheaterCopy(record.mainline, head, record.owned, record.repo_path)
    return theaters


def _copy_present(source: Path, target: Path) -> None:
    """Copy a folder's files; one that the janitor removes meanwhile had its time."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file() and not path.name.startswith("."):
            try:
                shutil.copyfile(path, target / path.name)
            except FileNotFoundError:
                (target / path.name).unlink(missing_ok=True)


def _keys(source: Path, target: Path) -> None:
    """Copy the keys, but for passwords of servers, which a new fleet makes itself."""
    target.mkdir(mode=0o700)
    for path in source.iterdir():
        if path.is_file() and not path.name.endswith(_PASSWORDS) and not path.name.startswith("."):
            shutil.copyfile(path, target / path.name)
