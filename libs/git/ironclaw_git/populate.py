"""The files of a commit laid out in a worktree that has none yet, in this process."""

import os
import stat
from collections.abc import Iterator

import pygit2
from msgspec import Struct

from ironclaw_git.errors import GitError
from ironclaw_git.hardened import leaves_files_alone
from ironclaw_git.layout import Layout
from ironclaw_git.native import under_lock
from ironclaw_git.objects import TreeEntry
from ironclaw_git.odb import TREE_MODE, header, read, tree_entries, tree_id
from ironclaw_git.stagefile import IndexEntry, IndexLock, entry_of
from ironclaw_git.verbatim import (
    BYTES_MAX,
    DEPTH_MAX,
    FILE_MODES,
    FILES_MAX,
    OPEN_FOLDER,
    LeftToGit,
    is_plain_name,
    require_no_rules,
)

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Folder(Struct, frozen=True):
    files: list[TreeEntry]
    folders: list[tuple[bytes, "_Folder"]]


class _Account(Struct):
    """What the folders looked through so far hold together."""

    files: int = 0
    size: int = 0


async def populate(layout: Layout, commit: str) -> bool:
    """Write the files of a commit into its new worktree, and its index; False where git has to.

    What is there then may be a part of the files: `git read-tree --reset -u` makes it whole.
    """
    root = layout.work_tree
    if root is None or not await leaves_files_alone(layout):
        return False

    def work(repository: pygit2.Repository) -> None:
        require_no_rules(layout.common_dir)
        planned = _plan(repository, tree_id(repository, commit), _Account(), DEPTH_MAX)
        descriptor = os.open(root, OPEN_FOLDER)
        try:
            entries = list(_lay(repository, planned, descriptor, b""))
        finally:
            os.close(descriptor)
        with IndexLock(layout.git_dir) as lock:
            lock.replace(entries)

    try:
        await under_lock(layout, work)
    except GitError:  # git says better what is wrong, if anything is
        return False
    return True


def _plan(repository: pygit2.Repository, tree: str, account: _Account, depth: int) -> _Folder:
    """Return what a tree holds; raise `LeftToGit` for anything but plain files and links."""
    if depth == 0:
        raise LeftToGit("the folders are nested too deeply")
    folder = _Folder([], [])
    for entry in tree_entries(repository, tree):
        # Ignore rules have no say in what is checked out.
        if not is_plain_name(entry.name) and entry.name != b".gitignore":
            raise LeftToGit(f"{entry.name!r} means something to git")
        if entry.mode == TREE_MODE:
            folder.folders.append((entry.name, _plan(repository, entry.oid.hex(), account, depth - 1)))
            continue
        kind, size = header(repository, entry.oid.hex()) or ("", 0)
        if int(entry.mode, 8) not in FILE_MODES or kind != "blob":
            raise LeftToGit(f"{entry.name!r} is no file or link")
        account.files += 1
        account.size += size
        if account.files > FILES_MAX or account.size > BYTES_MAX:
            raise LeftToGit("the commit is large")
        folder.files.append(entry)
    return folder


def _lay(
    repository: pygit2.Repository, folder: _Folder, descriptor: int, prefix: bytes
) -> Iterator[IndexEntry]:
    """Write what a folder holds and yield each file's entry.

    Nothing is opened that was there before, and nothing through a link: an `OSError` instead.
    """
    for entry in folder.files:
        data, mode = read(repository, entry.oid.hex()).data, int(entry.mode, 8)
        if stat.S_ISLNK(mode):
            os.symlink(data, entry.name, dir_fd=descriptor)
            found = os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False)
        else:
            found = _write(entry.name, data, 0o777 if mode & 0o100 else 0o666, descriptor)
        yield entry_of(prefix + entry.name, mode, entry.oid, found)
    for name, inner in folder.folders:
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, OPEN_FOLDER, dir_fd=descriptor)
        try:
            yield from _lay(repository, inner, below, prefix + name + b"/")
        finally:
            os.close(below)


def _write(name: bytes, data: bytes, permissions: int, folder: int) -> os.stat_result:
    descriptor = os.open(name, _NEW_FILE, permissions, dir_fd=folder)
    try:
        if os.write(descriptor, data) != len(data):
            raise LeftToGit(f"{name!r} was not written in full")
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
