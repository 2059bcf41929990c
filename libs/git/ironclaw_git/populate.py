"""The files of a commit laid out in a worktree that has none yet, in this process."""

import os
import stat
from collections.abc import Iterator
from functools import partial

import pygit2
from msgspec import Struct

from ironclaw_contracts.material import Touched
from ironclaw_git.errors import GitError
from ironclaw_git.hardened import leaves_files_alone
from ironclaw_git.layout import Layout
from ironclaw_git.native import under_lock
from ironclaw_git.objects import TreeEntry
from ironclaw_git.odb import TREE_MODE, header, read, tree_entries, tree_id
from ironclaw_git.sparse import Folders, folders_of, write_folders
from ironclaw_git.stagefile import IndexEntry, IndexLock, entry_of, left_out
from ironclaw_git.treewalk import is_open
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
    left_out: list[TreeEntry]


async def populate(layout: Layout, commit: str, touched: Touched | None = None) -> bool:
    """Write the files of a commit into its new worktree, and its index; False where git has to.

    With `touched` only the folders of what is read are laid out, unless something on the way to what is
    written is more than a folder. What is there when git has to may be a part of the files: `git read-tree
    --reset -u` makes it whole.
    """
    root = layout.work_tree
    if root is None or not await leaves_files_alone(layout):
        return False

    def work(repository: pygit2.Repository) -> None:
        require_no_rules(layout.common_dir)
        tree = tree_id(repository, commit)
        folders = _folders(repository, tree, touched)
        planned = _Planner(repository, folders).plan(tree, b"", DEPTH_MAX)
        write_folders(layout.git_dir, folders)
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
        write_folders(layout.git_dir, None)
        return False
    return True


def _folders(repository: pygit2.Repository, tree: str, touched: Touched | None) -> Folders | None:
    if touched is None:
        return None
    read_tree = partial(tree_entries, repository)
    root = read_tree(tree)
    ways_open = all(is_open(read_tree, root, path.encode()) for path in touched.writes)
    return folders_of(touched.reads) if ways_open else None


class _Planner:
    """Looks through the trees of a commit; raises `LeftToGit` for anything but plain files and links."""

    def __init__(self, repository: pygit2.Repository, folders: Folders | None) -> None:
        self._repository = repository
        self._folders = folders
        self._files = 0
        self._bytes = 0

    def plan(self, tree: str, path: bytes, depth: int) -> _Folder:
        """Return what is to be laid out of the folder at `path`, which ends in a slash, or is the root."""
        if depth == 0:
            raise LeftToGit("the folders are nested too deeply")
        folder = _Folder([], [], [])
        for entry in tree_entries(self._repository, tree):
            # Ignore rules have no say in what is checked out.
            if not is_plain_name(entry.name) and entry.name != b".gitignore":
                raise LeftToGit(f"{entry.name!r} means something to git")
            if entry.mode != TREE_MODE:
                self._count(entry)
                folder.files.append(entry)
            elif self._folders is None or path + entry.name in self._folders:
                inner = self.plan(entry.oid.hex(), path + entry.name + b"/", depth - 1)
                folder.folders.append((entry.name, inner))
            else:
                folder.left_out.append(entry)
        return folder

    def _count(self, entry: TreeEntry) -> None:
        kind, size = header(self._repository, entry.oid.hex()) or ("", 0)
        mode = int(entry.mode, 8)
        if mode not in FILE_MODES or kind != "blob":
            raise LeftToGit(f"{entry.name!r} is no file or link")
        if self._folders is not None and stat.S_ISLNK(mode):
            raise LeftToGit(f"{entry.name!r} may lead to what would be left out")
        self._files += 1
        self._bytes += size
        if self._files > FILES_MAX or self._bytes > BYTES_MAX:
            raise LeftToGit("the commit is large")


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
    for entry in folder.left_out:
        yield left_out(prefix + entry.name, entry.oid)
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
