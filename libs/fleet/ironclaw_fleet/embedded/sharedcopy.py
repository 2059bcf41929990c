"""A copy of a package's binaries that every user can read and run, made by root.

It lies under /var/cache, not /var/tmp or /tmp: those are emptied by age, file by file, even below a server
that runs. Each file is checked against the hash that the package recorded for it; the copy appears whole or
not at all, and one that was damaged since is made again.
"""

import base64
import csv
import fcntl
import hashlib
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

CACHE = Path("/var/cache/ironclaw")


class _File(Struct, frozen=True):
    """A file as the package records it; `path` is relative to the folder of packages."""

    path: str
    sha256: str
    size_bytes: int


def shared_copy(package: Path, parts: tuple[str, ...]) -> Path:
    """Return a folder that holds the named parts of a package and its libraries, laid out as installed.

    Raises `OSError` when it cannot be made, `PermissionError` among them when the place is not root's own.
    """
    record = next(package.parent.glob(f"{package.name}-*.dist-info/RECORD"), None)
    if record is None:
        raise FileNotFoundError(f"{package} has no RECORD of its files; install it again: make install")
    files = _recorded(record, package.name, parts)
    digest = hashlib.sha256("\n".join(f"{file.path} {file.sha256}" for file in files).encode()).hexdigest()
    CACHE.mkdir(exist_ok=True)
    _require_roots(CACHE)
    CACHE.chmod(0o755)
    target = CACHE / f"{record.parent.name.removesuffix('.dist-info')}-{digest[:16]}"
    with _alone():
        if target.exists():
            _require_roots(target)
        if not _is_whole(target, files):
            _make(target, package.parent, files)
    return target


def _recorded(record: Path, name: str, parts: tuple[str, ...]) -> list[_File]:
    """Read which files the package brought (RECORD: path, hash, size; PEP 376)."""
    wanted = (*(f"{name}/{part}/" for part in parts), f"{name}.libs/")
    with record.open(encoding="utf-8", newline="") as lines:
        return [
            _File(path, digest.removeprefix("sha256="), int(size))
            for path, digest, size in csv.reader(lines)
            if path.startswith(wanted) and digest.startswith("sha256=")
        ]


def _is_whole(target: Path, files: list[_File]) -> bool:
    """Tell whether every file is there in its size; hashing all at every start would take too long."""
    try:
        return all((target / file.path).lstat().st_size == file.size_bytes for file in files)
    except FileNotFoundError:
        return False


def _make(target: Path, source: Path, files: list[_File]) -> None:
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=CACHE))
    try:
        for file in files:
            copy = making / file.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file.path, copy)
            with copy.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").digest()
            if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != file.sha256:
                raise OSError(f"{source / file.path} is not what its package recorded; run: make install")
            executable = (source / file.path).stat().st_mode & stat.S_IXUSR
            copy.chmod(0o755 if executable else 0o644)
        for folder in (making, *(path for path in making.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        if target.exists():  # damaged; a server that runs from it keeps the files it has open
            target.rename(Path(tempfile.mkdtemp(prefix=".former-", dir=CACHE)) / "copy")
        making.rename(target)
    finally:
        # Under the lock whatever is half made is nobody's: ours, or left by a start that was killed.
        for left in (*CACHE.glob(".making-*"), *CACHE.glob(".former-*")):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _alone() -> Generator[None]:
    """Keep other fleets of this machine from copying at the same time."""
    with (CACHE / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_roots(path: Path) -> None:
    """Refuse a folder that somebody else put in our place, or could write to."""
    found = path.lstat()
    if found.st_uid != 0 or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise PermissionError(f"{path} is not root's own folder; remove it")
