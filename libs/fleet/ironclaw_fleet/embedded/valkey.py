"""Embedded Valkey: loopback only, with a password, its queue on disk."""

import asyncio

from ironclaw_fleet.embedded.binaries import valkey_server
from ironclaw_fleet.process import ProcessSpec
from ironclaw_fleet.secretfile import kept_secret, write_private
from ironclaw_fleet.statedir import StateDirectory


class EmbeddedValkey:
    """Valkey for one state directory."""

    def __init__(self, state: StateDirectory, port: int) -> None:
        self._state = state
        self._port = port
        self._password_file = state.keys / "valkey.password"
        self._config = state.valkey / "valkey.conf"

    def prepare(self) -> None:
        """Write the configuration; the password stands there and never in an argument."""
        write_private(
            self._config,
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\n"
            f"dir {_quoted(str(self._state.valkey))}\n"
            'appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\nsave ""\ndaemonize no\n',
        )

    def spec(self) -> ProcessSpec:
        """Return what the supervisor runs."""
        return ProcessSpec(
            name="valkey",
            argv=[str(valkey_server()), str(self._config)],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd=self._state.valkey,
            log_path=self._state.logs / "valkey.log",
            ready=self.answers,
        )

    async def answers(self) -> bool:
        """Tell whether the server takes commands."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = await reader.readline() + await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
        return b"+PONG" in answer

    @property
    def url(self) -> str:
        """The URL with the password."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}"

    @property
    def _password(self) -> str:
        return kept_secret(self._password_file)


def _quoted(value: str) -> str:
    """Return a value as the configuration file takes it: without quotes, a space would end it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
