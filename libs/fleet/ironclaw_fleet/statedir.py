"""The state directory of a fleet on one machine: where everything lies, and who holds it."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from ironclaw_chassis.node.folder import NODES
from ironclaw_fleet.secretfile import write_private

_DEFAULT = ".ironclaw"
_LOCK_TRIES, _LOCK_RETRY_SECONDS = 5, 0.02


class FleetRecord(Struct, frozen=True):
    """What other commands need to find a running fleet. No secrets."""

    pid: int
    port_base: int
    gateway_url: str


class FleetRuns(Exception):
    """Another fleet holds the state directory; the message names its pid."""


class StateDirectory:
    """The folders of one fleet. `path` is absolute."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = path / "keys"
        self.logs = path / "logs"
        self.run = path / "run"
        self.vault = path / "vault"
        self.postgres = path / "postgres"
        self.valkey = path / "valkey"

    @classmethod
    def locate(cls, home: Path | None = None) -> "StateDirectory":
        """Return the directory that was given, or IRONCLAW_HOME, or `.ironclaw` here."""
        return cls((home or Path(os.environ.get("IRONCLAW_HOME") or _DEFAULT)).absolute())

    @property
    def operator_key(self) -> Path:
        """The secret of the operator's API key."""
        return self.keys / "operator.apikey"

    @property
    def signing_secrets(self) -> Path:
        """The secrets that sign milestones and demand, the newest first."""
        return self.keys / "milestone-signing.secrets"

    @property
    def node_registry(self) -> Path:
        """The nodes of this garrison, for its validator."""
        return self.path / NODES / "registry.json"

    def create(self) -> None:
        """Make the folders, private to us; parents keep their modes.

        As root the directory itself can be passed through, since PostgreSQL runs as another user below it.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.keys, self.logs, self.run, self.vault, self.valkey, self.path / NODES):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)

    def read_fleet(self) -> FleetRecord | None:
        """Return the record of the fleet that runs here, if one does."""
        path = self.run / "fleet.json"
        if not path.exists() or not self._is_held():
            return None
        try:
            record = msgspec.json.decode(path.read_bytes(), type=FleetRecord)
        except (OSError, msgspec.DecodeError):
            return None
        # Between taking the lock and clearing what a killed fleet left, its record would still be read.
        return record if _runs(record.pid) else None

    def write_fleet(self, record: FleetRecord) -> None:
        """Tell other commands how to find this fleet."""
        write_private(self.run / "fleet.json", msgspec.json.encode(record).decode())

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the directory: one fleet at a time. Raises `FleetRuns`."""
        with (self.run / "fleet.lock").open("a+") as file:
            if not _lock(file):
                file.seek(0)
                raise FleetRuns(
                    f"a fleet runs on {self.path} already (pid {file.read().strip() or '?'});"
                    " stop it with: ironclaw down"
                )
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            (self.run / "fleet.json").unlink(missing_ok=True)  # of a fleet that was killed
            try:
                yield
            finally:
                (self.run / "fleet.json").unlink(missing_ok=True)

    def holder(self) -> int | None:
        """Return the pid of the fleet that holds the directory, if one does."""
        if not self._is_held():
            return None
        text = (self.run / "fleet.lock").read_text(encoding="utf-8").strip()
        return int(text) if text.isdecimal() else None

    def _is_held(self) -> bool:
        try:
            with (self.run / "fleet.lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _lock(file: IO[str]) -> bool:
    """Take the lock; a command that only looks whether it is held has it for an instant, so try again."""
    for attempt in range(_LOCK_TRIES):
        if attempt:
            time.sleep(_LOCK_RETRY_SECONDS)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
