"""The secrets of a fleet in containers: a folder of files, one a secret, made once and kept.

The folder is its owner's only. The files in it are readable: a container is given single files, and reads
them as another user than the one who made them.
"""

import secrets
from pathlib import Path

from ironclaw_chassis.identity import create_key
from ironclaw_contracts.enums import Service
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.embedded.roles import DATABASE
from ironclaw_fleet.secretfile import kept_secret, write_private

ADMIN = "postgres"
VALIDATOR_KEY = "openclaw-validator"
"""What openclawdbot signs its receipts with; it makes one itself only where it may write."""
_VALKEY = """\
bind * -::*
port 6379
requirepass {password}
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def create_container_secrets(folder: Path, postgres: str, valkey: str) -> list[Path]:
    """Make what is missing in `folder` and return all its files.

    `postgres` and `valkey` say where the containers reach the servers, as HOST:PORT.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in (*(service.value for service in Service), VALIDATOR_KEY):
        create_key(folder, name)
    admin = kept_secret(folder / "postgres.password")
    _write(folder / "admin.database_url", f"postgresql://{ADMIN}:{admin}@{postgres}/{ADMIN}")
    for service in sorted(WITH_DATABASE):
        kept_secret(folder / f"{service}_owner.password")
        password = kept_secret(folder / f"{service}.password")
        _write(folder / f"{service}.database_url", f"postgresql://{service}:{password}@{postgres}/{DATABASE}")
    password = kept_secret(folder / "valkey.password")
    _write(folder / "valkey.conf", _VALKEY.format(password=password))
    _write(folder / "redis.url", f"redis://:{password}@{valkey}/0")
    kept_secret(folder / "milestone-signing.secrets")
    if not (folder / "operator.apikey").exists():
        write_private(folder / "operator.apikey", f"ick_operator_{secrets.token_urlsafe(32)}")
    if not (folder / "model.apikey").exists():
        # A blank line, since Swarm takes no empty secret. The offline provider serves until a key is here.
        write_private(folder / "model.apikey", "\n")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    for path in files:
        path.chmod(0o444)
    return files


def _write(path: Path, text: str) -> None:
    """Replace a file whose text follows from others, but only when it differs."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_private(path, text)
