"""Embedded PostgreSQL: one data folder, scram passwords, loopback only, durable."""

import hashlib
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from ironclaw_fleet.embedded.binaries import NOBODY, postgres_bin
from ironclaw_fleet.process import ProcessSpec
from ironclaw_fleet.statedir import StateDirectory

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "120",
    "jit": "off",
    "wal_level": "replica",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}
_INITDB_SECONDS = 120


class DataMismatch(Exception):
    """The data folder was made by another major version."""


class EmbeddedPostgres:
    """PostgreSQL for one state directory. As root it runs as `nobody`."""

    def __init__(self, state: StateDirectory, port: int) -> None:
        self._state = state
        self._port = port
        self._bin = postgres_bin()
        self._user = NOBODY if os.geteuid() == 0 else None
        self._data = _data_folder(state, self._user)
        self._password_file = state.keys / "postgres.password"

    def prepare(self) -> None:
        """Make the data folder if it is missing. Raises `DataMismatch` when another major version made it."""
        version_file = self._data / "PG_VERSION"
        if version_file.exists():
            made_by, ours = version_file.read_text(encoding="utf-8").strip(), self._major()
            if made_by != ours:
                raise DataMismatch(
                    f"{self._data} was made by PostgreSQL {made_by}, this is {ours}: dump it with the old"
                    " version (pg_dumpall), remove the folder, start, and restore the dump"
                )
            return
        if not self._password_file.exists():
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(32), encoding="utf-8")
        self._initdb()

    def spec(self) -> ProcessSpec:
        """Return what the supervisor runs."""
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return ProcessSpec(
            name="postgres",
            argv=[str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self._port), *options],
            env=self._environment(),
            cwd=self._data,
            user=self._user,
            log_path=self._state.logs / "postgres.log",
            ready=self.answers,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, keeps the data consistent
        )

    async def answers(self) -> bool:
        """Tell whether the server takes connections."""
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    def url(self, database: str) -> str:
        """Return the superuser's URL of a database."""
        password = self._password_file.read_text(encoding="utf-8").strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self._port}/{database}"

    def _major(self) -> str:
        said = subprocess.run(
            [self._bin / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[-1].split(".")[0]

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _initdb(self) -> None:
        """Make the data folder whole: beside its place first, then moved there."""
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self._data.parent))
        password = making / "password"
        password.write_text(self._password_file.read_text(encoding="utf-8"), encoding="utf-8")
        password.chmod(0o600)
        if self._user is not None:
            os.chown(making, self._user, self._user)
            os.chown(password, self._user, self._user)
        try:
            subprocess.run(
                [
                    str(self._bin / "initdb"),
                    *("-D", str(making / "data"), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
                    *("--auth=scram-sha-256", f"--pwfile={password}", "--data-checksums"),
                ],
                env=self._environment(),
                cwd=making,
                check=True,
                capture_output=True,
                timeout=_INITDB_SECONDS,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
            shutil.rmtree(self._data, ignore_errors=True)
            (making / "data").rename(self._data)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _data_folder(state: StateDirectory, user: int | None) -> Path:
    """Return where the data lies, its parent made.

    Another user's server must be able to pass through every parent. Where one of them is closed (a home
    under /root), no mode is changed: the data lies in a folder of its own under /var/tmp instead.
    """
    parent = state.postgres
    if user is not None and not all(p.stat().st_mode & stat.S_IXOTH for p in state.path.parents):
        digest = hashlib.sha256(str(state.path).encode()).hexdigest()[:16]
        parent = Path(f"/var/tmp/ironclaw-data-{digest}")  # noqa: S108 - checked below
    parent.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        if parent.lstat().st_uid not in {0, user} or parent.is_symlink():
            raise PermissionError(f"{parent} belongs to somebody else; remove it")
        os.chown(parent, user, user)
    return parent / "data"
