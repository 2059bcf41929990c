"""As whom PostgreSQL runs, since it refuses to run as root.

As an ordinary user: as we are; where that user has no name (a container run with a bare uid), as nobody in a
user namespace, since initdb wants a name. As root: as `nobody`, who can do least. Where the machine does not
let root become anybody else (a container without CAP_SETUID, or with one user only): as root that calls
itself nobody in a user namespace, where it has none of root's powers but does own root's files.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from ironclaw_fleet.embedded.binaries import NoBinaries

NOBODY = 65_534
_PROBE_SECONDS = 10


class ServerUser(Struct, frozen=True):
    """How to start a server: the uid to drop to, if any, and the words that go before its own."""

    uid: int | None = None
    prefix: tuple[str, ...] = ()


def server_user() -> ServerUser:
    """Return as whom PostgreSQL can run here. Raises `NoBinaries`."""
    if os.geteuid() != 0:
        return ServerUser() if _has_name(os.geteuid()) else ServerUser(prefix=_namespace() or ())
    if nobody_reaches(Path("/")):
        return ServerUser(uid=NOBODY)
    namespace = _namespace()
    if namespace is not None:
        return ServerUser(prefix=namespace)
    raise NoBinaries(
        "PostgreSQL refuses to run as root, and neither another user nor a user namespace can be had here;"
        " run as an ordinary user, or set DATABASE_URL"
    )


def nobody_reaches(folder: Path) -> bool:
    """Tell whether `nobody` can pass through a folder, by trying: modes tell nothing of links and ACLs."""
    test = shutil.which("test") or "/usr/bin/test"
    try:
        tried = subprocess.run(
            [test, "-x", str(folder)],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except OSError:  # not allowed to become nobody
        return False
    return tried.returncode == 0


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _namespace() -> tuple[str, ...] | None:
    unshare, true = shutil.which("unshare"), shutil.which("true")
    if unshare is None or true is None:
        return None
    words = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
    tried = subprocess.run([*words, true], capture_output=True, check=False, timeout=_PROBE_SECONDS)
    return words if tried.returncode == 0 else None
