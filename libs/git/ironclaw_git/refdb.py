"""Refs: where they stand, and moving one by compare-and-swap. Blocking; see `native`."""

import time

import pygit2

from ironclaw_git.errors import GitError, StaleRef, UnknownObject
from ironclaw_git.odb import header

NOTHING = "0" * 40
"""Where a ref stands that does not exist."""
_LOCKED_SECONDS_MAX = 2.0
_PAUSE_SECONDS = 0.005


def commit_at(repository: pygit2.Repository, revision: str) -> str:
    """Return the commit that an object id, `HEAD` or a full ref means; raise `UnknownObject`."""
    try:
        if revision == "HEAD" or revision.startswith("refs/"):
            found = repository.references[revision].peel(pygit2.Commit)
        else:
            found = repository[revision].peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as problem:
        raise UnknownObject(f"the repository has no commit {revision}") from problem
    return str(found.id)


def standing(repository: pygit2.Repository, ref: str) -> str | None:
    """Return the object that a ref stands on; None when there is no such ref."""
    found = repository.references.get(ref)
    return str(found.resolve().target) if found is not None else None


def swap(repository: pygit2.Repository, ref: str, new: str, expected_old: str, reason: str) -> None:
    """Move a ref from one object to another; `NOTHING` stands for a ref that is not there yet.

    libgit2 compares under the ref's own lock. A lock that somebody else holds is waited for, two seconds at
    most. Raises `StaleRef` when the ref stands elsewhere.
    """
    if header(repository, new) is None:
        raise UnknownObject(f"the repository has no {new} to move {ref} to")
    deadline = time.monotonic() + _LOCKED_SECONDS_MAX
    while True:
        current = standing(repository, ref) or NOTHING
        if current != expected_old:
            raise StaleRef(f"{ref} stands on {_said(current)}, not on {_said(expected_old)}: read it again")
        try:
            _move(repository, ref, new, expected_old, reason)
        except (pygit2.GitError, ValueError, OSError) as problem:
            if (standing(repository, ref) or NOTHING) == expected_old and time.monotonic() > deadline:
                raise GitError(f"{ref} cannot be moved to {new}: {problem}") from problem
        else:
            return
        time.sleep(_PAUSE_SECONDS)


def _move(repository: pygit2.Repository, ref: str, new: str, expected_old: str, reason: str) -> None:
    if expected_old == NOTHING:
        repository.references.create(ref, new, force=False)
        return
    found = repository.references[ref]
    if str(found.target) == expected_old:  # what it was read as is what the swap compares with
        found.set_target(new, reason)
    else:
        raise ValueError(f"{ref} moved")


def _said(sha: str) -> str:
    return "nothing" if sha == NOTHING else sha
