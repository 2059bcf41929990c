"""A promotion that a crash cut in two: the mainline moved, and a checkout of it did not follow.

Its files would read as changes of the user's that take the promoted work back. So a note of the step is left
in the repository before the ref moves; while it is there, the checkout is brought along.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from ironclaw_git.changes import read_beneath
from ironclaw_git.checkout import drop_stale_lock
from ironclaw_git.errors import DirtyCheckout, GitError
from ironclaw_git.hardened import git
from ironclaw_git.layout import Layout
from ironclaw_git.names import check_sha
from ironclaw_git.repository import Repository

_NOTE = "ironclaw.promotion"
_NOTE_BYTES_MAX = 200
_CHECKOUT_TIMEOUT_SECONDS = 120.0
_FILE_BYTES_MAX = 64 * 1024 * 1024
_DELETED = "D"
_SHOWN_MAX = 20


def note(repo: Repository, old: str, new: str) -> None:
    """Leave word, on the disk, that the mainline is about to move from `old` to `new`. Blocking."""
    fresh = repo.git_dir / f"{_NOTE}.{os.getpid()}"
    with fresh.open("w", encoding="ascii") as file:
        file.write(f"{old} {new}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(repo.git_dir / _NOTE)


def noted(repo: Repository) -> tuple[str, str] | None:
    """Return the step that was begun and not ended: the old head and the new one."""
    try:
        with (repo.git_dir / _NOTE).open("rb") as file:
            old, new = file.read(_NOTE_BYTES_MAX).decode("ascii", "replace").split()
        return check_sha(old), check_sha(new)
    except (OSError, ValueError, GitError):
        return None


def forget(repo: Repository) -> None:
    """Take the note away: the step was taken whole, or not at all."""
    (repo.git_dir / _NOTE).unlink(missing_ok=True)


async def follow(repo: Repository, checkout: Layout, old: str, new: str) -> None:
    """Bring a checkout's index and files from `old` to `new`, also when that was begun before.

    Raises `DirtyCheckout` when the user has changed one of these files since.
    """
    step = ("read-tree", "-m", "-u", old, new)
    answer = await git(checkout, *step, check=False, timeout=_CHECKOUT_TIMEOUT_SECONDS)
    if answer.returncode == 0:
        return
    drop_stale_lock(checkout.git_dir / "index.lock")
    # read-tree takes a file for a change that was merely touched.
    await git(checkout, "update-index", "-q", "--refresh", check=False, timeout=_CHECKOUT_TIMEOUT_SECONDS)
    half, theirs = await _written(repo, checkout, old, new)
    for path in half:
        path.unlink()
    answer = await git(checkout, *step, check=False, timeout=_CHECKOUT_TIMEOUT_SECONDS)
    if answer.returncode != 0:
        raise DirtyCheckout(
            f"{checkout.work_tree} was to follow its branch from {old[:12]} to {new[:12]} and cannot:"
            f" {', '.join(theirs[:_SHOWN_MAX]) or answer.stderr.strip()[-300:]}; move the files away, then"
            " retry",
            paths=theirs,
        )


async def _written(repo: Repository, checkout: Layout, old: str, new: str) -> tuple[list[Path], list[str]]:
    """Return the files with the new content or a beginning of it, and those with neither that nor the old."""
    half: list[Path] = []
    theirs: list[str] = []
    root = checkout.work_tree or checkout.git_dir
    for change in await repo.changed_paths(old, new):
        with contextlib.suppress(GitError):
            found = await asyncio.to_thread(read_beneath, root, change.path.encode())
            if found is None:
                continue
            wanted = (
                b"" if change.status == _DELETED else await repo.read_file(new, change.path, _FILE_BYTES_MAX)
            )
            if change.status != _DELETED and wanted.startswith(found[1]):
                half.append(root / change.path)
            elif change.status == "A" or await repo.read_file(old, change.path, _FILE_BYTES_MAX) != found[1]:
                theirs.append(change.path)
    return half, theirs
