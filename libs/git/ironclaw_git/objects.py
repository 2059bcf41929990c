"""git's answers parsed into structs, and trees as git stores them. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from ironclaw_git.errors import GitError, UnknownObject
from ironclaw_git.names import Person
from ironclaw_git.paths import shown

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_CRUD = " .,:;<>\"\\'"  # what git strips from the ends of names and addresses
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
_TREE = re.compile(rb"(?:[0-7]+ [^\0]+\0.{20})*", re.DOTALL)


class FileEntry(Struct, frozen=True):
    """A file of a commit. `mode` is git's, `size` in bytes (0 for a submodule)."""

    path: str
    size: int
    mode: str
    sha: str


class ChangedPath(Struct, frozen=True):
    """A path that differs between two commits: `status` A(dded), M(odified), D(eleted) or T(ype changed).

    `mode` and `sha` are those of the newer side; zeros when deleted.
    """

    path: str
    status: str
    mode: str
    sha: str


class CommitInfo(Struct, frozen=True):
    """What a commit records about itself; times carry their own zone."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    authored_at: datetime
    committer: Person
    committed_at: datetime
    message: str


class NewBlobs(Struct, frozen=True):
    """File versions that a history adds: `read` as (path, bytes), `larger` as (path, size), `total` bytes."""

    read: tuple[tuple[str, bytes], ...]
    larger: tuple[tuple[str, int], ...]
    total: int


class Diff(Struct, frozen=True):
    """A unified diff; `truncated` when it was cut at the bound that the caller set."""

    patch: str
    truncated: bool


class TreeEntry(Struct, frozen=True, gc=False):
    """One entry of a tree, as stored: mode without leading zeros, name in bytes, binary object id."""

    mode: bytes
    name: bytes
    oid: bytes


class StoredObject(Struct, frozen=True):
    """An object as `git cat-file --batch` gives it."""

    sha: str
    kind: str
    data: bytes


def parse_batch(output: bytes, asked: Iterable[str]) -> Iterator[StoredObject]:
    """Yield the objects of a `git cat-file --batch` answer in the order they were asked for.

    Raises `UnknownObject` for one that is missing.
    """
    position = 0
    for name in asked:
        end = output.index(b"\n", position)
        words = output[position:end].rsplit(b" ", 2)
        if len(words) != 3 or not words[2].isdigit():
            raise UnknownObject(f"the repository has no {name}")
        size = int(words[2])
        yield StoredObject(words[0].decode(), words[1].decode(), output[end + 1 : end + 1 + size])
        position = end + size + 2


def parse_tree(data: bytes) -> list[TreeEntry]:
    """Return the entries of a stored tree. Raises `GitError` when it is none."""
    if _TREE.fullmatch(data) is None:
        raise GitError("a tree of the repository cannot be read: run git fsck there")
    return [TreeEntry(*found) for found in _TREE_ENTRY.findall(data)]


def encode_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Return the bytes of a tree, in git's order: by name, a folder as if it ended in `/`."""

    def order(entry: TreeEntry) -> bytes:
        return entry.name + b"/" if entry.mode == b"40000" else entry.name

    return b"".join(
        entry.mode + b" " + entry.name + b"\0" + entry.oid for entry in sorted(entries, key=order)
    )


def object_id(kind: str, data: bytes) -> str:
    """Return the id under which git stores these bytes."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def encode_commit(
    tree: str, parents: Iterable[str], message: bytes, author: Person, committer: Person, seconds: int
) -> bytes:
    """Return the bytes of a commit, dated to `seconds` since the epoch in UTC."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [
        f"{role} {_signed(by)} {seconds} +0000" for role, by in (("author", author), ("committer", committer))
    ]
    return "\n".join(lines).encode() + b"\n\n" + message


def _signed(person: Person) -> str:
    return f"{person.name.strip(_CRUD)} <{person.email.strip(_CRUD)}>"


def parse_files(output: bytes) -> Iterator[FileEntry]:
    """Yield the files of a `git ls-tree -r -l -z` answer."""
    for record in output.split(b"\0"):
        if record:
            about, _, path = record.partition(b"\t")
            mode, _, sha, size = about.decode().split()
            yield FileEntry(shown(path), 0 if size == "-" else int(size), mode, sha)


def parse_refs(output: bytes) -> dict[str, str]:
    """Return the refs of a `git for-each-ref --format='%(objectname) %(refname)'` answer."""
    pairs = (line.partition(" ") for line in output.decode("utf-8", "backslashreplace").splitlines())
    return {name: sha for sha, _, name in pairs}


def plain_lines(output: bytes) -> list[str]:
    """Return lines of text without controls, so that a commit's subject cannot drive a terminal."""
    text = output.decode("utf-8", "replace")
    return [_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", line).rstrip() for line in text.split("\n") if line]
