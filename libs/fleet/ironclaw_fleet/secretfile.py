"""Secrets that we make ourselves: one a file, readable by its owner only, never half written."""

import os
import secrets
from pathlib import Path


def kept_secret(path: Path, size_bytes: int = 32) -> str:
    """Return the secret in a file, made at random on first use (base64url: it needs no quoting anywhere).

    The file appears whole or not at all, so that a crash in between leaves no empty password behind.
    """
    try:
        found = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        found = ""
    if found:
        return found
    write_private(path, secrets.token_urlsafe(size_bytes))
    return path.read_text(encoding="utf-8").strip()


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one step; only its owner may read it."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
