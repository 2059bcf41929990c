"""Logs that children write straight to, kept within a bound.

A child holds its log open for life, so the file cannot be moved away from under it: what it holds is
copied aside and the file is cut to nothing. Children append (O_APPEND), so they go on at its new end.
A line written between copy and cut is lost; that is the price of logs that outlive the supervisor.
"""

import shutil
from pathlib import Path

BYTES_MAX = 10 * 1024 * 1024


def rotate(path: Path, bytes_max: int = BYTES_MAX) -> bool:
    """Put the content of a large log aside as `<name>.1`, over the one before; tell whether it was large."""
    try:
        if path.stat().st_size <= bytes_max:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True
