"""What lies in a worktree, held against its index, in this process. Nothing is written."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pygit2
from msgspec import Struct

from ironclaw_git.changes import Changes, read_beneath
from ironclaw_git.errors import GitError
from ironclaw_git.hardened import leaves_files_alone
from ironclaw_git.layout import Layout, head_ref
from ironclaw_git.native import native
from ironclaw_git.objects import TreeEntry, encode_tree, object_id
from ironclaw_git.odb import TREE_MODE, tree_entries, tree_id
from ironclaw_git.refdb import commit_at
from ironclaw_git.sparse import read_folders
from ironclaw_git.stagefile import IndexEntry, entry_of, left_out, read_index, seen
from ironclaw_git.treewalk import ReadTree, with_files
from ironclaw_git.verbatim import (
    BYTES_MAX,
    DEPTH_MAX,
    FILES_MAX,
    OPEN_FOLDER,
    STORED_MAX,
    LeftToGit,
    is_plain_name,
    require_no_rules,
)

_SLASH = ord("/")

Found = dict[bytes, os.stat_result]
"""What lies in a worktree, by path: how each file and link looks."""


class Scanned(Struct, frozen=True):
    """An entry for each file and for each folder that is left out, in the order of an index.

    `blobs` are the contents that the index did not know, `trees` what became of folders that are left out,
    since files were put there; deepest first.
    """

    entries: list[IndexEntry]
    blobs: list[bytes]
    trees: list[bytes]


async def find_unchanged(layout: Layout) -> Changes | None:
    """Return how a worktree stands in which nothing differs; None where git has to look.

    What is left out is no difference. All files there are tracked ones, so ignore rules have no say.
    """
    ref, root = head_ref(layout.git_dir), layout.work_tree
    if ref is None or root is None or not await leaves_files_alone(layout):
        return None

    def look(repository: pygit2.Repository) -> Changes | None:
        head = commit_at(repository, ref)
        require_no_rules(layout.common_dir)
        before, index_ns = entries_before(layout)
        found = files_below(root, lambda name: name == b".gitignore" or is_plain_name(name))
        entries = look_through(partial(tree_entries, repository), root, before, index_ns, found).entries
        if list(map(_content, entries)) != list(map(_content, before.values())):
            return None
        *_, (whole, _, _) = trees_of(entries)
        if whole != tree_id(repository, head):
            return None
        return Changes(head, ref.removeprefix("refs/heads/"), (), (), ())

    try:
        return await native(layout, look)
    except GitError:
        return None


def entries_before(layout: Layout) -> tuple[dict[bytes, IndexEntry], int]:
    """Return a worktree's index as `read_index` does; what somebody else marked there means what git says."""
    before, index_ns = read_index(layout.git_dir)
    if any(entry.left_out for entry in before.values()) and read_folders(layout) is None:
        raise LeftToGit("the index has marks")
    return before, index_ns


def _content(entry: IndexEntry) -> tuple[bytes, int, bytes]:
    return entry.path, entry.mode, entry.oid


def files_below(root: Path, is_known: Callable[[bytes], bool]) -> Found:
    """Return every file and link below a worktree, following none; raise `LeftToGit`, `OSError`."""
    found: Found = {}

    def look(descriptor: int, prefix: bytes, depth: int) -> None:
        if depth == 0:
            raise LeftToGit("the folders are nested too deeply")
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if name == b".git" and not prefix:
                    continue
                if not is_known(name):
                    raise LeftToGit(f"{name!r} means something to git")
                if entry.is_dir(follow_symlinks=False):
                    inner = os.open(name, OPEN_FOLDER, dir_fd=descriptor)
                    try:
                        look(inner, prefix + name + b"/", depth - 1)
                    finally:
                        os.close(inner)
                    continue
                about = entry.stat(follow_symlinks=False)
                if not (stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode)):
                    raise LeftToGit(f"{name!r} is no file or link")
                if len(found) == FILES_MAX:
                    raise LeftToGit("there are many files")
                found[prefix + name] = about

    descriptor = os.open(root, OPEN_FOLDER)
    try:
        look(descriptor, b"", DEPTH_MAX)
    finally:
        os.close(descriptor)
    return found


def look_through(
    read: ReadTree, root: Path, before: dict[bytes, IndexEntry], index_ns: int, found: Found
) -> Scanned:
    """Hold what was found in a worktree against its index; raise `LeftToGit`, `OSError`.

    What is left out of the worktree stays as it is, but for files that were put there.
    """
    for path in before.keys() - found.keys():
        # The rules of a file that is gone from the worktree, git takes from the index.
        if not all(is_plain_name(name) for name in path.rstrip(b"/").split(b"/")):
            raise LeftToGit(f"{path!r} means something to git")
    away = {path: entry for path, entry in before.items() if entry.left_out and path not in found}
    leading = {above for path in away for above in _above(path)}
    put: dict[bytes, dict[bytes, TreeEntry]] = {path: {} for path, entry in away.items() if entry.is_folder}
    scanned = Scanned([entry for entry in away.values() if not entry.is_folder], [], [])
    size = 0
    for path, about in found.items():
        known = before.get(path)
        if known is not None and not known.left_out and is_unchanged(known, about, index_ns):
            scanned.entries.append(known)
            continue
        size += about.st_size
        held = read_beneath(root, path) if size <= BYTES_MAX else None
        if held is None or path + b"/" in leading or any(above[:-1] in away for above in _above(path)):
            raise LeftToGit(
                f"{path!r} went away, is where something else is left out, or what changed is large"
            )
        mode, data = held
        entry = entry_of(path, mode, bytes.fromhex(object_id("blob", data)), about)
        above = next((above for above in _above(path) if above in put), None)
        if above is None:
            scanned.entries.append(entry)
        else:
            name = path.rpartition(b"/")[2]
            put[above][path.removeprefix(above)] = TreeEntry(b"%o" % mode, name, entry.oid)
        if known is None or known.oid != entry.oid:
            scanned.blobs.append(data)
    if len(scanned.blobs) > STORED_MAX:
        raise LeftToGit("much changed")
    for path, files in put.items():
        tree, made = with_files(read, away[path].oid.hex(), files)
        scanned.entries.append(left_out(path[:-1], bytes.fromhex(tree)))
        scanned.trees.extend(made)
    scanned.entries.sort(key=lambda entry: entry.path)
    return scanned


def _above(path: bytes) -> Iterator[bytes]:
    """Yield each folder that a path lies in, with the slash at its end."""
    return (path[: end + 1] for end, mark in enumerate(path) if mark == _SLASH)


def is_unchanged(known: IndexEntry, about: os.stat_result, index_ns: int) -> bool:
    """Say whether a file surely holds what the index says, by its looks alone. Pure.

    No program can choose a file's change time. So a file that looks the same was not written again, unless
    within one tick of the clock; and one that changed before the index was begun has that tick behind it.
    """
    mode = about.st_mode
    same_mode = known.mode == (0o120000 if stat.S_ISLNK(mode) else 0o100755 if mode & 0o100 else 0o100644)
    settled = max(about.st_mtime_ns, about.st_ctime_ns) < index_ns
    return settled and same_mode and known.seen == seen(about)


def trees_of(entries: Iterable[IndexEntry]) -> Iterator[tuple[str, bytes, list[TreeEntry]]]:
    """Yield id, bytes and entries of each tree of an index, a folder after those in it, the whole last."""
    folders: dict[bytes, list[TreeEntry]] = {b"": []}
    for entry in entries:
        folder, _, name = entry.path.rstrip(b"/").rpartition(b"/")
        _within(folders, folder).append(TreeEntry(b"%o" % entry.mode, name, entry.oid))
    while folders:
        folder, held = folders.popitem()  # the newest, so what it holds below is stored already
        data = encode_tree(held)
        tree = object_id("tree", data)
        yield tree, data, held
        if folder:
            parent, _, name = folder.rpartition(b"/")
            folders[parent].append(TreeEntry(TREE_MODE, name, bytes.fromhex(tree)))


def _within(folders: dict[bytes, list[TreeEntry]], folder: bytes) -> list[TreeEntry]:
    """Return what a folder holds, adding it after its parents when it is new."""
    if folder not in folders:
        _within(folders, folder.rpartition(b"/")[0])
        folders[folder] = []
    return folders[folder]
