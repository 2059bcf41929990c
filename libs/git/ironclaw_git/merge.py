"""Merging an order's branch without a checkout, and moving the mainline by compare-and-swap.

A merge takes four processes: reading the two root trees, storing the branch's without operational files,
merging, committing.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from ironclaw_contracts.artifacts import OPERATIONAL_FILES
from ironclaw_git.errors import StaleRef
from ironclaw_git.names import IRONCLAW, Person, check_sha
from ironclaw_git.objects import (
    StoredObject,
    TreeEntry,
    encode_commit,
    encode_pack,
    encode_tree,
    object_id,
    parse_batch,
    parse_tree,
    single,
)
from ironclaw_git.paths import shown
from ironclaw_git.repository import Repository, commit_tree
from ironclaw_git.run import failure

MERGE_TIMEOUT_SECONDS = 120.0
_OPERATIONAL_NAMES = frozenset(name.encode() for name in OPERATIONAL_FILES)


class Merged(Struct, frozen=True):
    """The merge commit, on no ref yet, and its tree."""

    commit: str
    tree: str


class Conflict(Struct, frozen=True):
    """The paths that both sides changed in ways that do not go together."""

    paths: tuple[str, ...]


def without_operational(branch: Iterable[TreeEntry], mainline: Iterable[TreeEntry]) -> list[TreeEntry]:
    """Return the branch's root entries with the mainline's own version of each operational file, or none."""
    kept = [entry for entry in branch if entry.name not in _OPERATIONAL_NAMES]
    return kept + [entry for entry in mainline if entry.name in _OPERATIONAL_NAMES]


async def merge(
    repo: Repository,
    mainline_sha: str,
    branch_sha: str,
    message: str,
    author: Person,
    *,
    committer: Person = IRONCLAW,
    when: datetime | None = None,
) -> Merged | Conflict:
    """Merge a branch's commit into a mainline's and return the merge commit; no ref moves.

    Operational files never take part: before the merge the branch gets the mainline's version of them, so
    that they can neither conflict, nor land, nor be taken for a rename of something else. Attributes of
    the tree are not honoured: every file is merged as text. What is already merged returns `mainline_sha`.
    Raises `UnknownObject`, and `GitError` for histories without a common commit.
    """
    merged, mainline_tree = await _merge_trees(repo, mainline_sha, branch_sha)
    if isinstance(merged, Conflict):
        return merged
    tree = merged
    if tree == mainline_tree.sha and await repo.is_ancestor(branch_sha, mainline_sha):
        return Merged(mainline_sha, tree)
    commit = await commit_tree(
        repo.layout, tree, (mainline_sha, branch_sha), message, author, committer, when
    )
    return Merged(commit, tree)


async def foresee(repo: Repository, ours: str, theirs: str) -> str | Conflict:
    """Return the tree that merging two commits would give, or where they conflict; no commit is made."""
    return (await _merge_trees(repo, ours, theirs))[0]


async def _merge_trees(
    repo: Repository, mainline_sha: str, branch_sha: str
) -> tuple[str | Conflict, StoredObject]:
    """Return the merged tree or the conflict, and the tree of `mainline_sha`."""
    asked = [f"{check_sha(mainline_sha)}^{{tree}}", f"{check_sha(branch_sha)}^{{tree}}"]
    trees = await repo.git("cat-file", "--batch", input="".join(f"{name}\n" for name in asked).encode())
    stored = parse_batch(trees.stdout, asked)
    mainline_tree = single(stored, "tree", mainline_sha)
    branch_tree = single(stored, "tree", branch_sha)
    plain = encode_tree(without_operational(parse_tree(branch_tree.data), parse_tree(mainline_tree.data)))
    theirs = branch_sha
    if plain != branch_tree.data:
        aside = encode_commit(object_id("tree", plain), branch_sha, "Leave operational files aside", IRONCLAW)
        await repo.git("unpack-objects", "-q", input=encode_pack([("tree", plain), ("commit", aside)]))
        theirs = object_id("commit", aside)
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", mainline_sha, theirs)
    answer = await repo.git(*args, check=False, timeout=MERGE_TIMEOUT_SECONDS)
    if answer.returncode not in {0, 1}:
        raise failure(answer, args)
    merged_tree, *paths = answer.stdout.rstrip(b"\0").split(b"\0")
    if answer.returncode == 1:
        return Conflict(tuple(sorted({shown(path) for path in paths if path}))), mainline_tree
    return merged_tree.decode(), mainline_tree


async def contains_all(repo: Repository, commit: str, shas: Iterable[str]) -> bool:
    """Say whether `commit` contains every one of `shas`; raise `UnknownObject` when one is not known."""
    return await repo.contains_all(commit, list(shas))


async def swap_ref(repo: Repository, ref: str, new: str, expected_old: str, reason: str) -> None:
    """Move `ref` from one commit to another, or raise `StaleRef` when it stands elsewhere by now."""
    args = ("update-ref", "-m", reason, ref, check_sha(new), check_sha(expected_old))
    answer = await repo.git(*args, check=False)
    if answer.returncode == 0:
        return
    current = (await repo.refs(ref)).get(ref, "nothing")
    if current != expected_old:
        raise StaleRef(
            f"{ref} stands on {current}, not on {expected_old}: read it again and redo the work",
            command=args,
            returncode=answer.returncode,
            stderr=answer.stderr,
        )
    raise failure(answer, args)
