"""What differs between stored trees, and merging trees whose changes do not meet. Blocking; see `native`."""

from collections.abc import Callable, Iterator, Mapping

import pygit2
from msgspec import Struct

from ironclaw_git.objects import EMPTY_TREE, TreeEntry, encode_tree, object_id
from ironclaw_git.odb import TREE_MODE, tree_entries, write
from ironclaw_git.verbatim import LeftToGit, are_plain_names

_FILES = (b"100644", b"100755")
ReadTree = Callable[[str], list[TreeEntry]]
Root = list[TreeEntry]


class Difference(Struct, frozen=True):
    """A file, link or submodule that differs: None where a side has none at this path."""

    path: bytes
    old: TreeEntry | None
    new: TreeEntry | None


def differences(read: ReadTree, old: Root, new: Root, prefix: bytes = b"") -> Iterator[Difference]:
    """Yield every path that differs between two trees, given by their entries; equal folders are not read."""
    pairs = enumerate(zip(old, new, strict=False))
    first = next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))
    before, after = ({entry.name: entry for entry in side[first:]} for side in (old, new))
    for name in before.keys() | after.keys():
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        path = prefix + name
        if is_tree(one) or is_tree(other):
            yield from differences(read, _below(read, one), _below(read, other), path + b"/")
        if is_leaf(one) or is_leaf(other):
            yield Difference(path, one if is_leaf(one) else None, other if is_leaf(other) else None)


def is_tree(entry: TreeEntry | None) -> bool:
    """Tell whether there is a folder."""
    return entry is not None and entry.mode == TREE_MODE


def is_leaf(entry: TreeEntry | None) -> bool:
    """Tell whether there is something that is no folder."""
    return entry is not None and entry.mode != TREE_MODE


def _below(read: ReadTree, entry: TreeEntry | None) -> Root:
    return read(entry.oid.hex()) if entry is not None and entry.mode == TREE_MODE else []


def merge_apart(repository: pygit2.Repository, base: Root, ours: Root, theirs: Root) -> str | None:
    """Return the tree that merging gives where it needs no look into any file; None where git has to look.

    That is when one side changed nothing, or when the sides changed different paths and neither removed
    any: without a removal nothing can have been renamed, and git's merge takes each change as it is.
    """

    def read(tree: str) -> Root:
        return tree_entries(repository, tree)

    if encode_tree(base) == encode_tree(ours):
        return write(repository, "tree", encode_tree(theirs))
    if encode_tree(base) == encode_tree(theirs):
        return write(repository, "tree", encode_tree(ours))
    sides = [list(differences(read, base, side)) for side in (ours, theirs)]
    if any(one.new is None for side in sides for one in side):
        return None
    merged = _weave(repository, base, ours, theirs)
    return None if merged is None else write(repository, "tree", encode_tree(merged))


def is_open(read: ReadTree, root: Root, path: bytes) -> bool:
    """Tell whether a file can be put at a path: plain folders lead there, and it is no link."""
    entries = {entry.name: entry for entry in root}
    *folders, name = path.split(b"/")
    for folder in folders:
        found = entries.get(folder)
        if found is None or found.mode != TREE_MODE:
            return found is None
        entries = {entry.name: entry for entry in read(found.oid.hex())}
        if not are_plain_names(entries):
            return False
    return name not in entries or entries[name].mode in _FILES


def with_files(read: ReadTree, tree: str, files: Mapping[bytes, TreeEntry]) -> tuple[str, list[bytes]]:
    """Return the id of a tree once these files are at these paths in it, and the new trees, deepest first.

    Raises `LeftToGit` where a name on the way means something to git, or something else than a folder is.
    """
    if not files:
        return tree, []
    entries = {entry.name: entry for entry in read(tree)} if tree != EMPTY_TREE else {}
    if not are_plain_names(entries):
        raise LeftToGit(f"a name in {tree} means something to git")
    below: dict[bytes, dict[bytes, TreeEntry]] = {}
    changed, made = False, list[bytes]()
    for path, file in files.items():
        name, _, rest = path.partition(b"/")
        if rest:
            below.setdefault(name, {})[rest] = file
            continue
        if is_tree(entries.get(name)):
            raise LeftToGit(f"{name!r} is a folder")
        changed |= entries.get(name) != file
        entries[name] = file
    for name, inside in below.items():
        was = entries.get(name)
        if is_leaf(was):
            raise LeftToGit(f"{name!r} is no folder")
        inner, trees = with_files(read, was.oid.hex() if was is not None else EMPTY_TREE, inside)
        made += trees
        now = TreeEntry(TREE_MODE, name, bytes.fromhex(inner))
        changed |= was != now
        entries[name] = now
    if not changed:
        return tree, []
    data = encode_tree(entries.values())
    return object_id("tree", data), [*made, data]


def _weave(repository: pygit2.Repository, base: Root, ours: Root, theirs: Root) -> Root | None:
    """Return the entries of both sides' changes; None where both changed the same path."""
    was, mine, other = ({entry.name: entry for entry in side} for side in (base, ours, theirs))
    woven: Root = []
    for name in mine.keys() | other.keys():
        old, left, right = was.get(name), mine.get(name), other.get(name)
        if left in (right, old) or right == old:
            taken = right if left == old else left
        elif is_tree(left) and is_tree(right) and not is_leaf(old):
            taken = _weave_below(repository, name, old, left, right)
            if taken is None:
                return None
        else:
            return None
        if taken is not None:
            woven.append(taken)
    return woven


def _weave_below(
    repository: pygit2.Repository,
    name: bytes,
    old: TreeEntry | None,
    left: TreeEntry | None,
    right: TreeEntry | None,
) -> TreeEntry | None:
    def read(tree: str) -> Root:
        return tree_entries(repository, tree)

    woven = _weave(repository, _below(read, old), _below(read, left), _below(read, right))
    if woven is None:
        return None
    return TreeEntry(TREE_MODE, name, bytes.fromhex(write(repository, "tree", encode_tree(woven))))
