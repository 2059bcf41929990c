"""A repository through libgit2, in this process: objects, refs and histories without a git process each.

libgit2 runs no program whatever a repository says: it knows no hooks, no fsmonitor, no textconv and no
drivers of a repository's own, and it ignores replacement refs. What it could still be told is settled here,
once for the process: no file outside the repository is read, and what is written is synced. Work trees are
not libgit2's to write: attributes and ignore rules mean what git says they mean. See `verbatim`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pygit2
from pygit2.enums import ConfigLevel, RepositoryOpenFlag

from ironclaw_git.errors import GitError, UnknownObject, UnsafeConfig
from ironclaw_git.hardened import hardened_settings
from ironclaw_git.layout import Layout

T = TypeVar("T")

for _level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
    pygit2.settings.search_path[_level] = ""
pygit2.settings.owner_validation = False  # the vault's roots are the operator's choice; git is told GIT_DIR
# DESIGN, "Done means committed": an acknowledged commit survives a power cut.
pygit2.settings.enable_fsync_gitdir(True)


@contextlib.contextmanager
def opened(git_dir: Path) -> Generator[pygit2.Repository]:
    """Open a repository or the record of a linked worktree for one piece of work. Blocking.

    Raises `GitError` for what libgit2 does not work with, and `UnknownObject` for what is not there.
    """
    if (git_dir / "info" / "grafts").exists():
        raise UnsafeConfig(f"{git_dir}/info/grafts rewrites history; remove it, or use git replace")
    try:
        repository = pygit2.Repository(str(git_dir), RepositoryOpenFlag.NO_SEARCH)
        try:
            yield repository
        finally:
            repository.free()
    except KeyError as problem:
        raise UnknownObject(f"{git_dir} has no {problem}") from problem
    except (pygit2.GitError, ValueError, OSError) as problem:
        raise GitError(f"{git_dir} cannot be read: {problem}") from problem


async def native(layout: Layout, act: Callable[[pygit2.Repository], T]) -> T:
    """Do one piece of work on the repository at `layout`, in a thread; `UnsafeConfig` as `git` raises it."""
    await hardened_settings(layout)
    return await asyncio.to_thread(_opening, layout, act)


async def under_lock(layout: Layout, act: Callable[[pygit2.Repository], T]) -> T:
    """Do as `native` does, unbroken."""
    await hardened_settings(layout)
    return await unbroken(lambda: _opening(layout, act))


async def unbroken(work: Callable[[], T]) -> T:
    """Do one piece of work in a thread. A caller that is cancelled is let go when it is done, not before.

    So a lock of the caller's keeps others away from what the thread still writes.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _opening(layout: Layout, act: Callable[[pygit2.Repository], T]) -> T:
    with opened(layout.common_dir) as repository:
        return act(repository)
