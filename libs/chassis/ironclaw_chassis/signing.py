"""The signing secrets of the milestone and demand channels, read again when their file changes."""

import time
from pathlib import Path

from ironclaw_chassis.secret import Secret
from ironclaw_contracts.signing import split_secrets

_FRESH_SECONDS = 0.5


class SigningSecrets:
    """The secrets, the newest first: from the environment, else from a file that rotation rewrites."""

    def __init__(self, given: Secret, path: str) -> None:
        self._given = split_secrets(given.reveal())
        self._path = Path(path) if path else None
        self._stamp: tuple[int, int] | None = None
        self._read: list[str] = []
        self._fresh_until = 0.0

    def all(self, *, fresh: bool = False) -> list[str]:
        """Return every secret that verifies; none when nothing is configured.

        The file is looked at twice a second, and at once when `fresh` asks for it.
        """
        if self._given or self._path is None:
            return self._given
        now = time.monotonic()
        if now < self._fresh_until and not fresh:
            return self._read
        self._fresh_until = now + _FRESH_SECONDS
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._read = split_secrets(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except FileNotFoundError:
            self._read, self._stamp = [], None
        return self._read
