"""What stands in a worktree after a command or an agent worked there, and whether it may.

The sandbox keeps what runs inside; this keeps what came of it: a link out of the tree, a file too large or
outside the allow-list never gets into a commit. Reads the file system; nothing here follows a link.
"""

import asyncio
import hashlib
import os
import stat
from pathlib import Path

from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.artifacts import OPERATIONAL_FILES, Artifact, ToolPolicy
from ironclaw_sandbox import PathRules, Violation, judge_paths
from ironclaw_sandbox.pathpolicy import Change

ARTIFACTS_MAX = 200
"""More are not listed one by one; the commit has them all."""
_READ_BYTES_MAX = 64 * 1024 * 1024
_DIFF_BYTES_MAX = 16 * 1024 * 1024
_DELETED = "D"
_LINK_MODE = 0o120000


class ChangeSet(Struct, frozen=True):
    """What an attempt changed between two commits. `artifacts` leaves deleted files and links out."""

    paths: tuple[str, ...]
    deleted: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    added_lines: int
    removed_lines: int

    def __str__(self) -> str:
        if not self.paths:
            return "nothing changed"
        files = f"{len(self.paths)} file{'s' if len(self.paths) > 1 else ''} changed"
        return f"{files}, {self.added_lines} lines added, {self.removed_lines} removed"


async def violations(worktree: Path, tools: ToolPolicy) -> list[Violation]:
    """Return what is uncommitted in the worktree and may not be committed."""
    changed = (await ironclaw_git.status(worktree)).changed
    rules = PathRules(fs_allowlist=tuple(tools.fs_allowlist))
    looked = [path for path in changed if path not in OPERATIONAL_FILES]
    return judge_paths(await asyncio.to_thread(lambda: [_look(worktree, path) for path in looked]), rules)


def _look(worktree: Path, path: str) -> Change:
    place = worktree / path
    try:
        found = place.lstat()
    except OSError:
        return Change(path, mode=0)
    if stat.S_ISLNK(found.st_mode):
        return Change(path, mode=_LINK_MODE, link=str(place.readlink()))
    # The size on disk counts for files with holes as well: reading them yields all of it.
    return Change(path, bytes=found.st_size)


async def change_set(worktree: Path, base: str, head: str) -> ChangeSet:
    """Return what was changed from `base` to `head`, operational files left out."""
    repository = await ironclaw_git.Repository.open(worktree)
    changed = [c for c in await repository.changed_paths(base, head) if c.path not in OPERATIONAL_FILES]
    artifacts = [
        await _artifact(repository, head, entry.path)
        for entry in changed[:ARTIFACTS_MAX]
        if entry.status != _DELETED and int(entry.mode, 8) != _LINK_MODE
    ]
    added, removed = _count((await repository.diff(base, head, _DIFF_BYTES_MAX)).patch)
    return ChangeSet(
        paths=tuple(entry.path for entry in changed),
        deleted=tuple(entry.path for entry in changed if entry.status == _DELETED),
        artifacts=tuple(artifacts),
        added_lines=added,
        removed_lines=removed,
    )


async def _artifact(repository: ironclaw_git.Repository, head: str, path: str) -> Artifact:
    content = await repository.read_file(head, path, _READ_BYTES_MAX)
    kind = "text/plain" if _is_text(content) else "application/octet-stream"
    return Artifact(path=path, type=kind, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _is_text(content: bytes) -> bool:
    try:
        return "\x00" not in content[:8192].decode("utf-8", "strict" if len(content) <= 8192 else "ignore")
    except UnicodeDecodeError:
        return False


def _count(patch: str) -> tuple[int, int]:
    """Count added and removed lines of a unified diff; operational files stand at the root and count not."""
    added = removed = 0
    counts = False
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            counts = not any(line.endswith(f" b/{name}") for name in OPERATIONAL_FILES)
        elif counts and line.startswith("+") and not line.startswith("+++ "):
            added += 1
        elif counts and line.startswith("-") and not line.startswith("--- "):
            removed += 1
    return added, removed


def write_beside(worktree: Path, name: str, content: bytes) -> None:
    """Write a file at the worktree's root in place of whatever stands there, a link included.

    A command may have put a link to anywhere under the name of a report: it is replaced, never followed.
    """
    target = worktree / name
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(f"{name} is a folder in the worktree")
    fresh = worktree / f".{name}.{os.urandom(4).hex()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
