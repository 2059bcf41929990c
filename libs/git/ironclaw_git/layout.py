"""Where a repository's parts lie, read from its files without running git.

git's own discovery walks upwards and trusts what it finds; here a path is a repository or it is not. The
`.git` file of a linked worktree is writable by whoever works there, so it counts only when the
repository's own record points back (gitrepository-layout(5)).
"""

import os
import stat
from pathlib import Path

from msgspec import Struct

from ironclaw_git.errors import NotARepository, UnsafePath
from ironclaw_git.paths import absolute

_POINTER_BYTES_MAX = 8_192
WORKTREES = "worktrees"
HALF_MADE = "initializing"


class Layout(Struct, frozen=True):
    """The folders git works with. `git_dir` differs from `common_dir` in a linked worktree."""

    git_dir: Path
    common_dir: Path
    work_tree: Path | None = None

    @property
    def linked(self) -> bool:
        """Whether this is a linked worktree."""
        return self.git_dir != self.common_dir


class WorktreeRecord(Struct, frozen=True):
    """The repository's own record of a linked worktree. `lock` is the reason it is locked for, if it is."""

    admin_dir: Path
    path: Path
    head_ref: str | None
    lock: str | None

    @property
    def half_made(self) -> bool:
        """Whether `git worktree add` ended before it was done; nobody has worked there yet."""
        return self.lock == HALF_MADE or not stands(self.admin_dir / "index")


def stands(path: Path) -> bool:
    """Say whether anything stands at `path`, be it a link to nowhere."""
    return os.path.lexists(path)


def _pointer(path: Path) -> str | None:
    """Return the one line of a small regular file, or None when it is not one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(_POINTER_BYTES_MAX).decode("utf-8", "surrogateescape").strip("\n")


def _is_git_dir(path: Path) -> bool:
    return all((path / part).is_dir() for part in ("objects", "refs")) and stands(path / "HEAD")


def locate(path: str | Path) -> Layout:
    """Return the layout of the repository or linked worktree at `path`; raise `NotARepository`."""
    root = absolute(path)
    dot_git = root / ".git"
    if root.is_symlink():
        root = root.resolve()
        dot_git = root / ".git"
    if not dot_git.is_symlink() and dot_git.is_dir() and _is_git_dir(dot_git):
        return Layout(dot_git, dot_git, root)
    pointer = _pointer(dot_git)
    if pointer is not None and pointer.startswith("gitdir: "):
        return _linked(root, (root / pointer.removeprefix("gitdir: ")).resolve())
    if not stands(dot_git) and _is_git_dir(root):
        return Layout(root, root)
    raise NotARepository(
        f"{root} is neither a git repository nor a worktree; create or clone one there first"
    )


def _linked(root: Path, git_dir: Path) -> Layout:
    common = _pointer(git_dir / "commondir")
    back = _pointer(git_dir / "gitdir")
    if common is None or back is None:
        raise NotARepository(f"{root} is not an intact linked worktree: {git_dir} does not describe one")
    common_dir = (git_dir / common).resolve()
    if git_dir.parent != common_dir / WORKTREES or not _is_git_dir(common_dir):
        raise UnsafePath(f"{root}/.git points to {git_dir}, which is not a worktree record of a repository")
    if (git_dir / back).parent.resolve() != root.resolve():
        raise UnsafePath(f"{root}/.git points to {git_dir}, which is the record of another worktree")
    return Layout(git_dir, common_dir, root)


def head_ref(git_dir: Path) -> str | None:
    """Return the ref that HEAD stands on, or None when it is detached or unreadable."""
    pointer = _pointer(git_dir / "HEAD")
    return pointer.removeprefix("ref: ") if pointer and pointer.startswith("ref: ") else None


def worktree_records(common_dir: Path) -> list[WorktreeRecord]:
    """Return the repository's record of each linked worktree, intact or not."""
    try:
        admin_dirs = sorted(entry for entry in (common_dir / WORKTREES).iterdir() if not entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []
    records: list[WorktreeRecord] = []
    for admin_dir in admin_dirs:
        back = _pointer(admin_dir / "gitdir")
        # A record without its pointer is one whose making was cut at the very start; it has no path.
        path = (admin_dir / back).parent if back else admin_dir / "nowhere"
        records.append(WorktreeRecord(admin_dir, path, head_ref(admin_dir), _pointer(admin_dir / "locked")))
    return records


def record_of(common_dir: Path, path: Path) -> WorktreeRecord | None:
    """Return the record of the worktree at `path`, whatever stands there now."""
    wanted = absolute(path)
    return next((entry for entry in worktree_records(common_dir) if entry.path == wanted), None)
