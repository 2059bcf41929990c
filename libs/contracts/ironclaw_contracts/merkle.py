"""A Merkle tree over the ledger's hashes (RFC 6962, section 2.1), and proofs for many leaves at once. Pure.

Leaf i is the chain hash of the event with seq i + 1. A proof is the roots of the largest subtrees without a
wanted leaf, from left to right: whoever has the wanted leaves and these computes the root of all.
"""

import hashlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return how many of `size` > 1 leaves are on the left: the largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def prove(leaves: Sequence[bytes], wanted: AbstractSet[int]) -> tuple[bytes, list[bytes]]:
    """Return the root over leaves, and the proof for the wanted indices."""
    if not leaves:
        return hashlib.sha256().digest(), []
    marks = sorted(wanted)
    nodes: list[bytes] = []

    def walk(low: int, high: int, first: int, last: int) -> bytes:
        """Hash leaves low..high; marks[first:last] are the wanted ones among them."""
        if first == last:
            found = _root(leaves, low, high)
            nodes.append(found)
            return found
        if high - low == 1:
            return leaf_hash(leaves[low])
        middle = low + split(high - low)
        between = next((i for i in range(first, last) if marks[i] >= middle), last)
        left = walk(low, middle, first, between)
        return node_hash(left, walk(middle, high, between, last))

    return walk(0, len(leaves), 0, len(marks)), nodes


def _root(leaves: Sequence[bytes], low: int, high: int) -> bytes:
    """Return the root over some leaves, level by level: recursion would cost as much again."""
    level = [leaf_hash(leaf) for leaf in leaves[low:high]]
    while len(level) > 1:
        pairs = [node_hash(left, right) for left, right in zip(level[0::2], level[1::2], strict=False)]
        level = pairs + level[-1:] if len(level) % 2 else pairs
    return level[0]
