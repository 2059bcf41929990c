"""The object database: reading and writing objects by their ids. Blocking; see `native`."""

import os
from collections.abc import Iterable
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from ironclaw_git.errors import GitError, OutputTooLarge, UnknownObject
from ironclaw_git.objects import StoredObject, TreeEntry, object_id, parse_tree

KINDS = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}
_TYPES = {kind: number for number, kind in KINDS.items()}
TREE_MODE = b"40000"


def read(repository: pygit2.Repository, sha: str) -> StoredObject:
    """Return an object; raise `UnknownObject`."""
    try:
        kind, data = repository.odb.read(sha)
    except KeyError as problem:
        raise UnknownObject(f"the repository has no {sha}") from problem
    return StoredObject(sha, KINDS[ObjectType(kind)], data)


def read_kind(repository: pygit2.Repository, sha: str, kind: str) -> StoredObject:
    """Return an object of the kind expected; raise `UnknownObject`, `GitError` for another kind."""
    found = read(repository, sha)
    if found.kind != kind:
        raise GitError(f"{sha} is a {found.kind}, not a {kind}")
    return found


def header(repository: pygit2.Repository, sha: str) -> tuple[str, int] | None:
    """Return an object's kind and its size in bytes, without reading it; None when it is not here."""
    try:
        kind, size = repository.odb.read_header(sha)
    except KeyError:
        return None
    return KINDS[ObjectType(kind)], size


def require(repository: pygit2.Repository, sha: str, kind: str) -> None:
    """Raise `UnknownObject` unless the repository has an object of this kind."""
    found = header(repository, sha)
    if found is None or found[0] != kind:
        raise UnknownObject(f"the repository has no {kind} {sha}")


def write(repository: pygit2.Repository, kind: str, data: bytes) -> str:
    """Store an object and return its id; one that is there already is left alone, but for its date."""
    sha = object_id(kind, data)
    if _freshen(repository, sha):
        return sha
    return str(repository.odb.write(_TYPES[kind], data))


def _freshen(repository: pygit2.Repository, sha: str) -> bool:
    """Date an object of a file of its own to now, as git does when it is stored again; False without one.

    So it is not pruned as long forgotten. libgit2 would write it whole before it finds that it is there.
    """
    try:
        os.utime(Path(repository.path, "objects", sha[:2], sha[2:]))
    except OSError:
        return False
    return True


def tree_id(repository: pygit2.Repository, commit: str) -> str:
    """Return the id of a commit's tree; raise `UnknownObject`."""
    try:
        return str(repository[commit].peel(pygit2.Tree).id)
    except (KeyError, pygit2.InvalidSpecError) as problem:
        raise UnknownObject(f"the repository has no commit {commit}") from problem


def tree_entries(repository: pygit2.Repository, tree: str) -> list[TreeEntry]:
    """Return the entries of a stored tree."""
    return parse_tree(read_kind(repository, tree, "tree").data)


def find(repository: pygit2.Repository, tree: str, path: str) -> TreeEntry | None:
    """Return the entry at a path below a tree; None when nothing is there."""
    *folders, name = path.encode().split(b"/")
    for folder in folders:
        entry = _entry(repository, tree, folder)
        if entry is None or entry.mode != TREE_MODE:
            return None
        tree = entry.oid.hex()
    return _entry(repository, tree, name)


def _entry(repository: pygit2.Repository, tree: str, name: bytes) -> TreeEntry | None:
    return next((entry for entry in tree_entries(repository, tree) if entry.name == name), None)


def blobs_at(repository: pygit2.Repository, commit: str, paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return id and size in bytes of each of these paths that is a file or link of a commit."""
    tree = tree_id(repository, commit)
    found: dict[str, tuple[str, int]] = {}
    for path in paths:
        entry = find(repository, tree, path)
        about = header(repository, entry.oid.hex()) if entry is not None else None
        if entry is not None and about is not None and about[0] == "blob":
            found[path] = (entry.oid.hex(), about[1])
    return found


def read_blob(repository: pygit2.Repository, commit: str, path: str, bytes_max: int) -> bytes:
    """Return a file of a commit. Raises `UnknownObject`; `OutputTooLarge` above `bytes_max`."""
    entry = find(repository, tree_id(repository, commit), path)
    about = header(repository, entry.oid.hex()) if entry is not None else None
    if entry is None or about is None:
        raise UnknownObject(f"the repository has no {commit}:{path}")
    kind, size = about
    if kind != "blob":
        raise GitError(f"{path} is a {kind}, not a blob")
    if size > bytes_max:
        raise OutputTooLarge(f"{path} is larger than {bytes_max} bytes")
    return read(repository, entry.oid.hex()).data


def read_blobs(
    repository: pygit2.Repository, commit: str, paths: Iterable[str], bytes_max: int
) -> dict[str, bytes | None]:
    """Return the files at these paths; None for what is not there, is no file, or is larger."""
    wanted = list(paths)
    there = blobs_at(repository, commit, wanted)
    return {
        path: read(repository, there[path][0]).data if path in there and there[path][1] <= bytes_max else None
        for path in wanted
    }
