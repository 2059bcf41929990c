"""Where PostgreSQL's data lies.

In the state directory, unless the server runs as `nobody` and cannot pass through the folders above it (a
home under /root, mode 0700). No mode is changed for that: the data then lies in a folder of its own under
/var/lib/ironclaw, which only `nobody` can read, and a pointer in the state directory names it.
Not under /tmp or /var/tmp: those are emptied by age, and anybody can put a folder there before us. The
other way out, a user namespace, keeps the data in place but leaves the server root's files to write to.
The pointer decides from then on: a state directory that moves keeps its data, and data that is gone is
reported rather than replaced by an empty database.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ironclaw_fleet.secretfile import write_private
from ironclaw_fleet.statedir import StateDirectory

OUTSIDE = Path("/var/lib/ironclaw")


class DataMismatch(Exception):
    """The data folder is not one that this server can use; the message says why and what to do."""


def data_folder(state: StateDirectory, user: int | None, reaches: Callable[[Path], bool]) -> Path:
    """Return the folder for the data, its parent made and given to the server's user (a uid, or None: ours).

    `reaches` tells whether that user can pass through a folder. Raises `DataMismatch`.
    """
    state.postgres.mkdir(mode=0o700, exist_ok=True)
    inside, pointer = state.postgres / "data", state.postgres / "location"
    if pointer.exists():
        parent = Path(pointer.read_text(encoding="utf-8").strip())
        if not parent.is_dir():
            raise DataMismatch(
                f"{pointer} says that the data lies in {parent}, and that is gone: restore it, or remove"
                " the pointer to start with an empty database"
            )
        return parent / "data"
    if user is None:
        return inside
    if reaches(state.path):
        os.chown(state.postgres, user, user)
        return inside
    if inside.exists():
        raise DataMismatch(
            f"the data lies in {inside}, and the server's user {user} cannot pass through the folders above;"
            " open them again (chmod o+x), or move the data to /var/lib/ironclaw and name its parent in"
            f" {pointer}"
        )
    parent = _outside(user, reaches)
    write_private(pointer, str(parent))
    return parent / "data"


def _outside(user: int, reaches: Callable[[Path], bool]) -> Path:
    """Make a folder that the server's user owns, below one of root's."""
    try:
        OUTSIDE.mkdir(exist_ok=True)
        if OUTSIDE.is_symlink() or OUTSIDE.lstat().st_uid != os.geteuid():
            raise PermissionError(f"{OUTSIDE} belongs to somebody else")
        OUTSIDE.chmod(0o711)
        if not reaches(OUTSIDE):
            raise PermissionError(f"user {user} cannot pass through to {OUTSIDE} either")
        parent = Path(tempfile.mkdtemp(prefix="postgres-", dir=OUTSIDE))
        os.chown(parent, user, user)
    except OSError as error:
        raise DataMismatch(
            f"user {user}, who runs the server, cannot pass through to the state directory, and {OUTSIDE}"
            f" cannot be used: {error}; set IRONCLAW_HOME to a folder that everybody can pass through, or set"
            " DATABASE_URL"
        ) from error
    return parent
