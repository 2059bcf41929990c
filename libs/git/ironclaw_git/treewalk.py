"""What differs between stored trees, and merging trees whose changes do not meet. Blocking; see `native`."""

from collections.abc import Callable, Iterator

import pygit2
from msgspec import Struct

from ironclaw_git.objects import TreeEntry, encode_tree
from ironclaw_git.odb import TREE_MODE, tree_entries, write

ReadTree = Callable[[str], list[TreeEntry]]
Root = list[TreeEntry]


class Difference(Struct, frozen=True):
    """A file, link or submodule that differs: None where a side has none at this path."""

    path: bytes
    old: TreeEntry | None
    new: TreeEntry | None


def differences(read: ReadTree, old: Root, new: Root, prefix: bytes = b"") -> Iterator[Difference]:
    """Yield every path that differs between two trees, given by their entries; equal folders are not read."""
    before, after = ({entry.name: entry for entry in side} for side in (old, new))
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
