"""What commits contain, and what a branch adds. Blocking; see `native`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import pygit2

from ironclaw_git.objects import ChangedPath, NewBlobs
from ironclaw_git.odb import header, read, require, tree_entries, tree_id
from ironclaw_git.paths import shown
from ironclaw_git.treewalk import Difference, Root, differences

_NO_OBJECT = "0" * 40
_SUBMODULE = b"160000"
_BRANCH_COMMITS_MAX = 10_000


def contains_all(repository: pygit2.Repository, commit: str, shas: list[str]) -> bool:
    """Say whether a commit contains all of others, or is them; raise `UnknownObject`."""
    for sha in (commit, *shas):
        require(repository, sha, "commit")
    return all(commit == sha or repository.descendant_of(commit, sha) for sha in shas)


def committed_at(repository: pygit2.Repository, commit: str) -> datetime:
    """Return when a commit was made, in UTC."""
    return datetime.fromtimestamp(repository[commit].peel(pygit2.Commit).commit_time, UTC)


def fork_point(repository: pygit2.Repository, mainline: str, branch: str) -> str | None:
    """Return the one commit that a branch left the mainline at; None where there may be several, or none.

    It is the only one when the branch has no merge after it: whatever both contain lies behind it.
    """
    base = cast("pygit2.Oid | None", repository.merge_base(mainline, branch))  # its stub forgets None
    if base is None:
        return None
    commit = repository[branch].peel(pygit2.Commit)
    for _ in range(_BRANCH_COMMITS_MAX):
        if commit.id == base:
            return str(base)
        if len(commit.parent_ids) != 1:
            return None
        commit = commit.parents[0]
    return None


def changed_paths(repository: pygit2.Repository, base: str, head: str) -> list[ChangedPath]:
    """Return every path that differs between two commits, sorted; a rename is a deletion and an addition."""

    def entries(tree: str) -> Root:
        return tree_entries(repository, tree)

    sides = [entries(tree_id(repository, commit)) for commit in (base, head)]
    found = sorted(differences(entries, sides[0], sides[1]), key=lambda one: one.path)
    return [_changed_path(one) for one in found]


def _changed_path(one: Difference) -> ChangedPath:
    path = shown(one.path)
    if one.new is None:
        return ChangedPath(path, "D", "000000", _NO_OBJECT)
    mode = one.new.mode.decode().rjust(6, "0")
    if one.old is None:
        return ChangedPath(path, "A", mode, one.new.oid.hex())
    same_type = one.old.mode[:2] == one.new.mode[:2]
    return ChangedPath(path, "M" if same_type else "T", mode, one.new.oid.hex())


def new_blobs(
    repository: pygit2.Repository, commit: str, known: str, *, file_bytes_max: int, total_bytes_max: int
) -> NewBlobs:
    """Return every file version that the commits of `commit` bring which `known` does not contain.

    What a later commit took out again is among them. Larger files are named, not read; when all are
    more than `total_bytes_max` none is read.
    """
    names: dict[str, str] = {}
    for path, sha in _brought(repository, commit, known):
        names.setdefault(sha, shown(path))
    sizes = {sha: about[1] for sha in names if (about := header(repository, sha)) is not None}
    total = sum(sizes.values())
    small = [sha for sha, size in sizes.items() if size <= file_bytes_max] if total <= total_bytes_max else []
    return NewBlobs(
        tuple((names[sha], read(repository, sha).data) for sha in small),
        tuple((names[sha], size) for sha, size in sizes.items() if size > file_bytes_max),
        total,
    )


def _brought(repository: pygit2.Repository, commit: str, known: str) -> Iterator[tuple[bytes, str]]:
    """Yield path and id of each blob that a commit has and none of its parents has at that path."""

    def entries(tree: str) -> Root:
        return tree_entries(repository, tree)

    require(repository, commit, "commit")
    walker = repository.walk(commit)
    walker.hide(known)
    for one in walker:
        mine = entries(str(one.tree_id))
        parents = [str(parent) for parent in one.parent_ids]
        against = [entries(tree_id(repository, parent)) for parent in parents] or [[]]
        found = [
            {(d.path, sha) for d in differences(entries, side, mine) if (sha := _new_blob(d)) is not None}
            for side in against
        ]
        yield from set.intersection(*found)


def _new_blob(one: Difference) -> str | None:
    if one.new is None or one.new.mode == _SUBMODULE:
        return None
    return None if one.old is not None and one.old.oid == one.new.oid else one.new.oid.hex()
