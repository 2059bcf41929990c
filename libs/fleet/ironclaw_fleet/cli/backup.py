"""Backup and restore of this machine's fleet: `ironclaw backup FILE`, `ironclaw restore FILE`."""

import os
import sys
from pathlib import Path

import asyncpg
import structlog

from ironclaw_chassis.database import MigrationError
from ironclaw_fleet.backup.manifest import Broken
from ironclaw_fleet.backup.restoring import restore as restore_backup
from ironclaw_fleet.backup.taking import take
from ironclaw_fleet.cli.dotenv import with_dotenv
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import Failed
from ironclaw_fleet.embedded.binaries import NoBinaries
from ironclaw_fleet.embedded.postgres import DataMismatch
from ironclaw_fleet.statedir import FleetRuns, StateDirectory
from ironclaw_fleet.supervisor import NotReady
from ironclaw_git import GitError

_FAILURES = (
    *(Broken, FleetRuns, NotReady, NoBinaries, DataMismatch, MigrationError, GitError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError),
)


async def backup(file: Path, *, options: Options = PLAIN) -> None:
    """Write the whole fleet to one file: every schema, every repository, the keys. It may run meanwhile.

    Args:
        file: The backup; it holds the fleet's keys, so only its owner may read it.
    """
    state = StateDirectory.locate()
    try:
        manifest = await take(state, with_dotenv(os.environ, Path(".env")), file)
    except _FAILURES as error:
        raise Failed(f"no backup: {error}") from error
    if options.json:
        print_json(manifest)
        return
    rows = sum(table.rows for schema in manifest.schemas.values() for table in schema.tables.values())
    say(f"{file}: {file.stat().st_size} bytes, {rows} rows, {len(manifest.theaters)} theaters")
    say(f"ledger up to seq {manifest.head_seq}, hash {manifest.head_hash}")


async def restore(file: Path, *, as_of: str | None = None, options: Options = PLAIN) -> None:
    """Restore a backup into a fresh state directory, and verify its chain and repositories.

    Args:
        file: The backup.
        as_of: Go back to a ledger seq or an instant before the backup was taken.
    """
    # What migrations say is no part of the answer.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    state = StateDirectory.locate()
    state.create()
    try:
        restored = await restore_backup(file, state, with_dotenv(os.environ, Path(".env")), as_of)
    except _FAILURES as error:
        raise Failed(f"not restored: {error}") from error
    if options.json:
        print_json(restored)
        return
    print_table(("theater", "mainline stands at"), sorted(restored.theaters.items()))
    say(f"the chain holds up to seq {restored.head_seq}, hash {restored.head_hash}")
    say(f"restored into {state.path}; start it with: ironclaw up")
