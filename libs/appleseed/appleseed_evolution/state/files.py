"""Files that appear whole or not at all, and stay after a power cut."""

import hashlib
import os
import secrets
from pathlib import Path

_MAKING = ".making"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step, keeping its mode. Raises `OSError`; then the old one stays."""
    make_folder(path.parent)
    # A name of its own: the target's may be as long as names can be.
    making = path.with_name(f".{secrets.token_hex(8)}{_MAKING}")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of some bytes. Raises `OSError`; a part may be written then."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, durably; one that is there is as good. Raises `OSError`."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sweep(folder: Path) -> None:
    """Remove what a crash left of files that were never whole. For whoever holds the only lock on it."""
    for left in folder.glob(f".*{_MAKING}"):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as lower-case hex."""
    return hashlib.sha256(content).hexdigest()
