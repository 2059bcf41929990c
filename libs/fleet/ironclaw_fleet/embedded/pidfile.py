"""The pid file that a killed PostgreSQL leaves behind.

PostgreSQL itself sees through a stale one unless its number was given to another process of the same user
(after a restart of the machine or the container, where numbers begin anew), or it was cut short by a power
cut: then it refuses to start, for ever. What it refuses for, two servers on one data folder, would destroy
the data: so the file goes only when no process at all works in the folder.
"""

from pathlib import Path

_PROC = Path("/proc")


def drop_misleading_pid_file(data: Path) -> bool:
    """Remove the pid file if its process is alive and is no server of this folder; tell whether it was.

    The caller holds the state directory, so no other fleet starts a server meanwhile. Linux only.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists() or not _PROC.is_dir():
        return False
    lines = pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
    readable = bool(lines) and lines[0].strip().isdecimal()
    if readable and not (_PROC / lines[0].strip()).exists():
        return False  # PostgreSQL checks its shared memory, too, and removes the file
    if readable and _works_in(_PROC / lines[0].strip(), data) is not False:
        return False
    if any(_works_in(entry, data) for entry in _PROC.iterdir() if entry.name.isdecimal()):
        return False
    pid_file.unlink()
    return True


def _works_in(process: Path, data: Path) -> bool | None:
    """Tell whether a process works in a folder, as all of a server do; None: that is not to be known."""
    try:
        return (process / "cwd").readlink() == data.resolve()
    except FileNotFoundError:
        return False  # it ended, or is a zombie
    except OSError:
        return None
