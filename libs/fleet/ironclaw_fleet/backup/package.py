"""The file of a backup: a compressed tar, the manifest first, each other member under its SHA-256."""

import hashlib
import os
import tarfile
from pathlib import Path

import msgspec

from ironclaw_fleet.backup.manifest import FORMAT, MANIFEST, Broken, Manifest

_COMPRESSION = 3


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write the file whole or not at all, readable by its owner only: it holds the fleet's keys."""
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    making = target.with_name(f".{target.name}.part")
    making.unlink(missing_ok=True)
    try:
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz", compresslevel=_COMPRESSION) as tar,
        ):
            for name in (MANIFEST, *manifest.members):
                tar.add(folder / name, arcname=name, filter=_plain)
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        making.replace(target)
    finally:
        making.unlink(missing_ok=True)


def unpack(source: Path, folder: Path) -> Manifest:
    """Extract a backup and check every member. Raises `Broken` naming what is wrong."""
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise Broken(f"{source} is no backup that can be read: {error}") from error
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise Broken(f"{source} has no manifest that can be read: {error}") from error
    if manifest.format != FORMAT:
        raise Broken(f"{source} has format {manifest.format}, this program reads {FORMAT}: upgrade it")
    (folder / MANIFEST).unlink()
    found = digests(folder)
    for name in sorted(manifest.members.keys() | found.keys()):
        if found.get(name) != manifest.members.get(name):
            what = "is missing" if name not in found else "was altered"
            raise Broken(f"{source} is damaged: {name} {what}; take another backup")
    return manifest


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out whose the files were."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
