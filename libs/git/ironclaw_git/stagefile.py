"""git's index file: which files a worktree had, with what content, and how they looked when that was known.

Version 2 of gitformat-index(5), or 3 where files are left out, without extensions but the one that only saves
time and the one that says that folders are left out whole; in any other form it is left to git.
"""

import hashlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from ironclaw_git.verbatim import FILE_MODES, LeftToGit

_HEADER = struct.Struct(">4sII")
_ENTRY = struct.Struct(">10I20sH")
_EXTENSION = struct.Struct(">4sI")
_HASH_BYTES = 20
_NAME_BYTES_MAX = 0xFFF  # the flags of an entry hold no longer length
_EXTENDED = 0x4000  # more flags follow, in version 3
_SKIP_WORKTREE = 0x4000  # the only one among those that we read
_MORE_FLAGS = struct.Struct(">H")
_CACHED_TREES = b"TREE"
_SPARSE_FOLDERS = b"sdir"
_FOLDER_MODE = 0o40000
_WORD = 0xFFFF_FFFF
_BYTES_MAX = 16 * 1024 * 1024
_OURS = b"ironclaw"

Seen = tuple[int, int, int, int, int, int, int, int]
"""How a file looked: change and modification time in seconds and nanoseconds, inode, owner, group, bytes."""


class IndexEntry(Struct, frozen=True, gc=False):
    """A file in the index. `device` is kept for others; like git, we compare without it.

    One that is `left_out` is not in the worktree, which is no change. It may be a whole folder: its path ends
    in a slash then, and `oid` is its tree.
    """

    path: bytes
    mode: int
    oid: bytes
    seen: Seen
    device: int
    left_out: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether this stands for a folder that is left out whole."""
        return self.mode == _FOLDER_MODE


def seen(found: os.stat_result) -> Seen:
    """Return how a file looks, each number cut to 32 bits as git cuts it."""
    changed, modified = divmod(found.st_ctime_ns, 10**9), divmod(found.st_mtime_ns, 10**9)
    size = found.st_size & _WORD
    return (
        *(changed[0] & _WORD, changed[1], modified[0] & _WORD, modified[1]),
        *(found.st_ino & _WORD, found.st_uid, found.st_gid, size),
    )


def entry_of(path: bytes, mode: int, oid: bytes, found: os.stat_result) -> IndexEntry:
    """Return the entry of a file that was found to look like this before its content was read."""
    return IndexEntry(path, mode, oid, seen(found), found.st_dev & _WORD)


def left_out(path: bytes, tree: bytes) -> IndexEntry:
    """Return the entry of a folder that is not in the worktree."""
    return IndexEntry(path + b"/", _FOLDER_MODE, tree, (0, 0, 0, 0, 0, 0, 0, 0), 0, left_out=True)


def parse_index(data: bytes) -> dict[bytes, IndexEntry]:
    """Return the entries of an index by path; raise `LeftToGit` for a form that only git reads. Pure."""
    try:
        return _parsed(data)
    except (struct.error, ValueError) as problem:
        raise LeftToGit(f"the index cannot be read: {problem}") from problem


def _parsed(data: bytes) -> dict[bytes, IndexEntry]:
    signature, version, number = _HEADER.unpack_from(data)
    body = len(data) - _HASH_BYTES
    if (
        signature != b"DIRC"
        or version not in {2, 3}
        or hashlib.sha1(data[:body], usedforsecurity=False).digest() != data[body:]
    ):
        raise LeftToGit("the index is not one of version 2 or 3")
    entries: dict[bytes, IndexEntry] = {}
    position = _HEADER.size
    for _ in range(number):
        c, cn, m, mn, device, inode, mode, owner, group, size, oid, flags = _ENTRY.unpack_from(data, position)
        name = position + _ENTRY.size
        skipped = bool(flags & _EXTENDED)
        if skipped:
            if version == 2 or _MORE_FLAGS.unpack_from(data, name)[0] != _SKIP_WORKTREE:
                raise LeftToGit("the index has marks")
            name += _MORE_FLAGS.size
            flags ^= _EXTENDED
        end = data.index(b"\0", name, body)
        path = data[name:end]
        if (
            flags != min(len(path), _NAME_BYTES_MAX)
            or not (mode in FILE_MODES or (skipped and mode == _FOLDER_MODE))
            or path.endswith(b"/") != (mode == _FOLDER_MODE)
            or path in entries
        ):
            raise LeftToGit("the index has conflicts, submodules or marks")
        about = (c, cn, m, mn, inode, owner, group, size)
        entries[path] = IndexEntry(path, mode, oid, about, device, skipped)
        position = end + 8 - (end - position) % 8
    while position < body:
        extension, size = _EXTENSION.unpack_from(data, position)
        if extension not in {_CACHED_TREES, _SPARSE_FOLDERS}:
            raise LeftToGit(f"the index has the extension {extension!r}")
        position += _EXTENSION.size + size
    return entries


def encode_index(entries: Iterable[IndexEntry]) -> bytes:
    """Return the bytes of an index with these entries. Pure."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    version = 3 if any(entry.left_out for entry in ordered) else 2
    parts = [_HEADER.pack(b"DIRC", version, len(ordered))]
    for entry in ordered:
        c, cn, m, mn, inode, owner, group, size = entry.seen
        flags = min(len(entry.path), _NAME_BYTES_MAX) | (_EXTENDED if entry.left_out else 0)
        about = _ENTRY.pack(
            c, cn, m, mn, entry.device, inode, entry.mode, owner, group, size, entry.oid, flags
        )
        if entry.left_out:
            about += _MORE_FLAGS.pack(_SKIP_WORKTREE)
        parts += [about, entry.path, bytes(8 - (len(about) + len(entry.path)) % 8)]
    if any(entry.is_folder for entry in ordered):
        parts.append(_EXTENSION.pack(_SPARSE_FOLDERS, 0))
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def read_index(git_dir: Path) -> tuple[dict[bytes, IndexEntry], int]:
    """Return a worktree's index, and its time in nanoseconds; raise `LeftToGit`, `OSError`. Blocking.

    What changed at or after that time may have changed again without looking any different (git's
    Documentation/technical/racy-git.txt).
    """
    descriptor = os.open(git_dir / "index", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_BYTES_MAX)
        return parse_index(data), os.fstat(descriptor).st_mtime_ns


def is_ours(lock: Path) -> bool:
    """Say whether an `IndexLock` made this file; `OSError`."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(len(_OURS) + 1) == _OURS


class IndexLock:
    """The lock under which git and libgit2 write an index too; `OSError` when somebody holds it. Blocking.

    It says whose it is, for when this process ends in between.
    """

    def __init__(self, git_dir: Path) -> None:
        self._index, self._lock = git_dir / "index", git_dir / "index.lock"

    def __enter__(self) -> "IndexLock":
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._lock, flags, 0o666), "wb")
        self._held = True
        self._taken_ns = os.fstat(self._file.fileno()).st_mtime_ns
        self._file.write(_OURS)
        self._file.flush()
        return self

    def replace(self, entries: Iterable[IndexEntry]) -> None:
        """Put an index with these entries in place. As by git, it is not synced: the files are there.

        Its time is when the lock was taken. All that is read under the lock is read after that, so a file
        that is written once more while it is read looks different later, or is not older than its index.
        """
        self._file.seek(0)
        self._file.truncate()
        self._file.write(encode_index(entries))
        self._file.flush()
        os.utime(self._file.fileno(), ns=(self._taken_ns, self._taken_ns))
        self._lock.replace(self._index)
        self._held = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._held:
            self._lock.unlink()
