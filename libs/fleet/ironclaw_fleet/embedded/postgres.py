"""Embedded PostgreSQL: one data folder, scram passwords, loopback only, durable."""

import os
import shutil
import signal
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path

import asyncpg

from ironclaw_fleet.embedded.binaries import NoBinaries, postgres_bin
from ironclaw_fleet.embedded.pidfile import drop_misleading_pid_file
from ironclaw_fleet.embedded.placement import DataMismatch, data_folder
from ironclaw_fleet.embedded.privilege import ServerUser, nobody_reaches, server_user
from ironclaw_fleet.process import ProcessSpec
from ironclaw_fleet.secretfile import kept_secret
from ironclaw_fleet.statedir import StateDirectory

__all__ = ["DataMismatch", "EmbeddedPostgres"]

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "120",
    "jit": "off",
    # The defaults, said here so that no ALTER SYSTEM can take an acknowledged event back.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}
_INITDB_SECONDS = 120
_PID_FILE_PORT_LINE = 3  # of postmaster.pid, counted from 0 (PostgreSQL's miscadmin.h)
# Every role may connect to these two and fill the disk with temporary tables, unless it is said otherwise.
_CLOSE_DEFAULT_DATABASES = "revoke all on database postgres, template1 from public;\n"


class EmbeddedPostgres:
    """PostgreSQL for one state directory, whose holder alone may use it. As root it runs as `nobody`."""

    def __init__(self, state: StateDirectory, port: int) -> None:
        self._state = state
        self._port = port
        self._password_file = state.keys / "postgres.password"

    @classmethod
    def running(cls, state: StateDirectory) -> "EmbeddedPostgres | None":
        """Return the server that runs on a state directory, as its pid file tells; None when none does."""
        found = cls(state, 0)
        try:
            lines = (found._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            found._port = int(lines[_PID_FILE_PORT_LINE])
        except (OSError, ValueError, IndexError):
            return None
        return found

    def prepare(self) -> None:
        """Make the data folder if it is missing, or check that it can be used.

        Blocks while the files are made: a second or two on the first start. Raises `DataMismatch` when the
        data cannot be used (made by another major version, damaged, gone), `NoBinaries` when no server can
        run here.
        """
        if not self._data.exists() or not any(self._data.iterdir()):
            self._initdb()
            return
        version_file = self._data / "PG_VERSION"
        if not version_file.exists():
            raise DataMismatch(f"{self._data} is no PostgreSQL data folder; move it away, or restore it")
        made_by, ours = version_file.read_text(encoding="utf-8").strip(), self._major()
        if made_by != ours:
            raise DataMismatch(
                f"{self._data} was made by PostgreSQL {made_by}, this is {ours}: dump it with the old"
                " version (pg_dumpall), remove the folder, start, and restore the dump"
            )
        if not self._password_file.exists():
            raise DataMismatch(
                f"{self._password_file} is missing, and {self._data} was made with it: restore that file, or"
                " move the data away to start with an empty database"
            )
        drop_misleading_pid_file(self._data)

    def spec(self) -> ProcessSpec:
        """Return what the supervisor runs."""
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return ProcessSpec(
            name="postgres",
            argv=[
                *self._user.prefix,
                *(str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self._port), *options),
            ],
            env=self._environment(),
            cwd=self._data,
            user=self._user.uid,
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
        """Return the superuser's URL of a database.

        Without TLS, which loopback does not need: a client that tried it would look for certificates in the
        home folder, and fail where that is closed to it.
        """
        password = kept_secret(self._password_file)
        return f"postgresql://postgres:{password}@127.0.0.1:{self._port}/{database}?sslmode=disable"

    @cached_property
    def _user(self) -> ServerUser:
        return server_user()

    @cached_property
    def _bin(self) -> Path:
        return postgres_bin(for_nobody=self._user.uid is not None)

    @cached_property
    def _data(self) -> Path:
        return data_folder(self._state, self._user.uid, nobody_reaches)

    def _major(self) -> str:
        # Behind the prefix, too: as root PostgreSQL would not even tell its version otherwise.
        said = subprocess.run(
            [*self._user.prefix, str(self._bin / "postgres"), "--version"],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return said.stdout.split("(PostgreSQL)")[1].split()[0].split(".")[0]

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _initdb(self) -> None:
        """Make the data folder whole: beside its place first, then moved there."""
        for left in self._data.parent.glob(".making-*"):  # by a start that was killed
            shutil.rmtree(left)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self._data.parent))
        password = making / "password"
        password.touch(mode=0o600)
        password.write_text(kept_secret(self._password_file), encoding="utf-8")
        if self._user.uid is not None:
            os.chown(making, self._user.uid, self._user.uid)
            os.chown(password, self._user.uid, self._user.uid)
        data = making / "data"
        try:
            self._run(
                making,
                *("initdb", "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--data-checksums"),
            )
            self._run(
                making, "postgres", "--single", "-D", str(data), "postgres", said=_CLOSE_DEFAULT_DATABASES
            )
            data.rename(self._data)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _run(self, folder: Path, program: str, *arguments: str, said: str = "") -> None:
        """Run one of PostgreSQL's programs to its end as the server's user."""
        try:
            subprocess.run(
                [*self._user.prefix, str(self._bin / program), *arguments],
                env=self._environment(),
                cwd=folder,
                input=said,
                check=True,
                capture_output=True,
                text=True,
                timeout=_INITDB_SECONDS,
                user=self._user.uid,
                group=self._user.uid,
                extra_groups=None if self._user.uid is None else [],
            )
        except subprocess.CalledProcessError as error:
            raise NoBinaries(
                f"{program} could not make {self._data}: {error.stderr.strip()[-1000:]}; mend that, or set"
                " DATABASE_URL"
            ) from error
