"""What differs in a worktree from its commit, and putting it into an index. No hook, filter or nested
repository of the worktree gets a say: a folder with a `.git` of its own is taken as plain files.
"""

import asyncio
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from ironclaw_git.errors import GitError
from ironclaw_git.hardened import git, hardened_settings
from ironclaw_git.layout import Layout, head_ref
from ironclaw_git.native import opened
from ironclaw_git.paths import is_git_dir_name, shown
from ironclaw_git.refdb import commit_at
from ironclaw_git.sparse import is_laid_out, read_folders

STATUS_TIMEOUT_SECONDS = 120.0
_COUNTED_MAX = 2_000  # beyond it git, in a process, is the faster one to ask


class Changes(Struct, frozen=True):
    """What `git status` found. `head` is None before the first commit, `branch` when HEAD is detached.

    Paths are git's bytes. `untracked` has files only.
    """

    head: str | None
    branch: str | None
    modified: tuple[bytes, ...]
    deleted: tuple[bytes, ...]
    untracked: tuple[bytes, ...]

    @property
    def paths(self) -> list[bytes]:
        """Every changed path, sorted."""
        return sorted({*self.modified, *self.deleted, *self.untracked})

    def within(self, chosen: Iterable[str]) -> "Changes":
        """Return only the changes at or below the chosen paths."""
        roots = [path.encode() for path in chosen]

        def kept(paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
            return tuple(p for p in paths if any(p == root or p.startswith(root + b"/") for root in roots))

        return Changes(self.head, self.branch, kept(self.modified), kept(self.deleted), kept(self.untracked))


def parse_status(output: bytes) -> Changes:
    """Return what a `git status --porcelain=v2 -z --branch --no-renames` answer says; pure."""
    head: str | None = None
    branch: str | None = None
    modified: list[bytes] = []
    deleted: list[bytes] = []
    untracked: list[bytes] = []
    for record in output.split(b"\0"):
        match record[:1]:
            case b"#":
                _, key, value = record.split(b" ", 2)
                if key == b"branch.oid" and value != b"(initial)":
                    head = value.decode()
                elif key == b"branch.head" and value != b"(detached)":
                    branch = shown(value)
            case b"1":
                words = record.split(b" ", 8)
                # Column two is the worktree against the index; a deletion already staged needs no more.
                (deleted if words[1].endswith(b"D") else modified).append(words[8])
            case b"u":
                modified.append(record.split(b" ", 10)[10])
            case b"?":
                untracked.append(record[2:])
            case _:
                pass
    return Changes(head, branch, tuple(modified), tuple(deleted), tuple(untracked))


async def find_no_changes(layout: Layout) -> Changes | None:
    """Return how a worktree stands in which nothing differs; None where git has to look.

    libgit2 says whether every tracked file is there and unchanged, and the files are counted: there are no
    others. So its reading of ignore rules, which is not quite git's, has no say in the answer.
    """
    ref = head_ref(layout.git_dir)
    root = layout.work_tree
    if ref is None or root is None:
        return None
    await hardened_settings(layout)

    def look() -> Changes | None:
        with opened(layout.git_dir) as repository:
            tracked = len(repository.index)
            if tracked > _COUNTED_MAX or repository.status(untracked_files="no"):
                return None
            if any(number > tracked for number, _ in enumerate(_everything(root), start=1)):
                return None
            return Changes(commit_at(repository, ref), ref.removeprefix("refs/heads/"), (), (), ())

    try:
        return await asyncio.to_thread(look)
    except GitError:  # an index in a form that libgit2 does not read, a HEAD without a commit
        return None


def _everything(root: Path) -> Iterator[str]:
    """Yield every file and link below a worktree, but for its own `.git`."""
    for folder, folders, names in os.walk(root):
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (name for name in (*names, *linked) if name != ".git" or folder != str(root))


async def find_changes(layout: Layout, env_extra: dict[str, str] | None = None) -> Changes:
    """Return what differs in the worktree from its HEAD; submodules, and what is left out, are left alone."""
    answer = await git(
        layout,
        *("status", "--porcelain=v2", "-z", "--branch", "--no-renames", "--no-ahead-behind"),
        *("--untracked-files=all", "--ignore-submodules=all"),
        env_extra=env_extra,
        timeout=STATUS_TIMEOUT_SECONDS,
    )
    found = parse_status(answer.stdout)
    folders = read_folders(layout)
    if folders is not None:  # an index that was read from a commit has no marks for what is left out
        deleted = tuple(path for path in found.deleted if is_laid_out(folders, path))
        found = msgspec.structs.replace(found, deleted=deleted)
    root = layout.work_tree
    if root is None or not any(path.endswith(b"/") for path in found.untracked):
        return found
    untracked = await asyncio.to_thread(lambda: tuple(_files(root, found.untracked)))
    return Changes(found.head, found.branch, found.modified, found.deleted, untracked)


def _files(root: Path, paths: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each path, and for a nested repository the files in it but for its `.git`."""
    for path in paths:
        if not path.endswith(b"/"):
            yield path
            continue
        for folder, folders, files in os.walk(root / os.fsdecode(path)):
            folders[:] = [name for name in folders if not is_git_dir_name(name)]
            linked = [name for name in folders if Path(folder, name).is_symlink()]
            for name in (*files, *linked):
                found = Path(folder, name)
                if not is_git_dir_name(name) and _storable(found):
                    yield os.fsencode(found.relative_to(root))


def _storable(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


async def stage(layout: Layout, changes: Changes, env_extra: dict[str, str] | None = None) -> None:
    """Put the changes into the index: deletions first, so that a file can give way to a folder."""
    if changes.deleted:
        # Plain removal would look at the path, which may now lie beyond a link.
        await git(
            layout,
            *("update-index", "-z", "--force-remove", "--stdin"),
            input=b"".join(path + b"\0" for path in changes.deleted),
            env_extra=env_extra,
        )
    present = (*changes.modified, *changes.untracked)
    if present:
        await git(
            layout,
            *("update-index", "-z", "--add", "--remove", "--replace", "--stdin"),
            input=b"".join(path + b"\0" for path in present),
            env_extra=env_extra,
            timeout=STATUS_TIMEOUT_SECONDS,
        )


async def stage_exactly(layout: Layout, changes: Changes, env_extra: dict[str, str]) -> None:
    """Put the changes into the index byte for byte, whatever the worktree's attributes ask for.

    One process a file: for when `stage` is refused (an encoding that does not exist, say).
    """
    root = layout.work_tree
    if root is None:
        raise GitError(f"{layout.git_dir} has no worktree to take files from")
    lines = [b"0 " + b"0" * 40 + b"\t" + path for path in changes.deleted]
    for path in (*changes.modified, *changes.untracked):
        found = await asyncio.to_thread(read_beneath, root, path)
        if found is None:
            lines.append(b"0 " + b"0" * 40 + b"\t" + path)
            continue
        mode, data = found
        stored = await git(
            layout,
            *("hash-object", "-w", "--no-filters", "--stdin"),
            input=data,
            timeout=STATUS_TIMEOUT_SECONDS,
        )
        lines.append(f"{mode:06o} {stored.line}\t".encode() + path)
    await git(
        layout,
        *("update-index", "-z", "--replace", "--index-info"),
        input=b"".join(line + b"\0" for line in lines),
        env_extra=env_extra,
    )


def read_beneath(root: Path, path: bytes) -> tuple[int, bytes] | None:
    """Return git's mode and the bytes of a file or link below `root`, following no link; None when gone.

    Blocking. Each folder is opened through its parent, so that a link put in its place meanwhile fails.
    """
    *folders, name = path.split(b"/")
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, flags | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return 0o120000, os.readlink(name, dir_fd=descriptor)
        if not stat.S_ISREG(mode):
            return None
        with os.fdopen(os.open(name, flags | os.O_NONBLOCK, dir_fd=descriptor), "rb") as file:
            return (0o100755 if mode & 0o100 else 0o100644), file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise GitError(f"{shown(path)} cannot be read in {root}: {problem.strerror}") from problem
    finally:
        os.close(descriptor)
