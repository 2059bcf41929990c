"""The state directory of a fleet on one machine: where everything lies, and who holds it."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

_DEFAULT = ".ironclaw"


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

    def create(self) -> None:
        """Make the folders, private to us; parents keep their modes.

        As root the directory itself can be passed through, since PostgreSQL runs as another user below it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.keys, self.logs, self.run, self.vault, self.valkey):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)

    def read_fleet(self) -> FleetRecord | None:
        """Return the record of the fleet that runs here, if one does."""
        path = self.run / "fleet.json"
        if not path.exists() or not self._is_held():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=FleetRecord)
        except msgspec.DecodeError:
            return None

    def write_fleet(self, record: FleetRecord) -> None:
        """Tell other commands how to find this fleet."""
        temporary = self.run / "fleet.json.new"
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(self.run / "fleet.json")

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the directory: one fleet at a time. Raises `FleetRuns`."""
        with (self.run / "fleet.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise FleetRuns(
                    f"a fleet runs on {self.path} already (pid {file.read().strip() or '?'});"
                    " stop it with: ironclaw down"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
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
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
