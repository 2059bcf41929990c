"""Moving the mainline to a new commit, and a user's checkout of it along."""

import contextlib
from pathlib import Path

from ironclaw_git.changes import find_changes
from ironclaw_git.errors import DirtyCheckout, StaleRef
from ironclaw_git.hardened import git
from ironclaw_git.interrupted import follow, forget, note, noted
from ironclaw_git.layout import Layout, head_ref, worktree_records
from ironclaw_git.merge import swap_ref
from ironclaw_git.names import check_sha
from ironclaw_git.paths import shown
from ironclaw_git.repository import Repository

_REASON = "ironclaw: promote"
_CHECKOUT_TIMEOUT_SECONDS = 120.0
_SHOWN_PATHS_MAX = 20


def mainline_checkouts(repo: Repository) -> list[Layout]:
    """Return the checkouts in which the mainline is out: the user's own, or a linked worktree of theirs."""
    found: list[Layout] = []
    if repo.work_tree is not None and head_ref(repo.git_dir) == repo.mainline_ref:
        found.append(Layout(repo.git_dir, repo.git_dir, repo.work_tree))
    for record in worktree_records(repo.git_dir):
        if record.head_ref == repo.mainline_ref and record.path.is_dir():
            found.append(Layout(record.admin_dir, repo.git_dir, record.path))
    return found


async def promote(repo: Repository, new: str, expected_old: str) -> None:
    """Move the mainline from `expected_old` to `new`, exactly when it still stands there.

    A checkout of the mainline follows when none of its tracked files is changed and no untracked file is
    in the way. Raises `StaleRef`; `DirtyCheckout` before anything moved.
    """
    check_sha(new)
    check_sha(expected_old)
    if not await repo.is_ancestor(expected_old, new):
        raise StaleRef(f"{new} does not contain {expected_old}: merge on top of the mainline again")
    checkouts = mainline_checkouts(repo)
    if not checkouts:
        await swap_ref(repo, repo.mainline_ref, new, expected_old, _REASON)
        return
    async with repo.lock():
        await _catch_up(repo)
        for checkout in checkouts:
            await _require_clean(checkout, new, expected_old)
        # The ref first: once it has moved nobody else's promotion can come between, and the dry run has
        # shown that the files can follow. A crash in between is mended by the note.
        note(repo, expected_old, new)
        try:
            await swap_ref(repo, repo.mainline_ref, new, expected_old, _REASON)
        except StaleRef:
            forget(repo)
            raise
        # It is promoted now. Where a user was quicker than the files, the next promotion says so.
        with contextlib.suppress(DirtyCheckout):
            for checkout in checkouts:
                await follow(repo, checkout, expected_old, new)
            forget(repo)


async def catch_up(repo: Repository) -> None:
    """Bring along the checkouts of a promotion that a crash cut in two; nothing where there was none.

    Raises `DirtyCheckout` when the user has changed the same files since.
    """
    if noted(repo) is not None:
        async with repo.lock():
            await _catch_up(repo)


async def _catch_up(repo: Repository) -> None:
    step = noted(repo)
    if step is None:
        return
    old, new = step
    # Where the mainline is elsewhere the ref never moved, or the user has gone on by themselves.
    if await repo.mainline_head() == new:
        for checkout in mainline_checkouts(repo):
            await follow(repo, checkout, old, new)
    forget(repo)


async def _require_clean(checkout: Layout, new: str, expected_old: str) -> None:
    # With locks, so that the refreshed index is kept: read-tree takes a merely touched file for a change.
    changes = await find_changes(checkout, {"GIT_OPTIONAL_LOCKS": "1"})
    if changes.head != expected_old:
        raise StaleRef(f"the mainline stands on {changes.head}, not on {expected_old}: redo the work on it")
    tracked = sorted({*changes.modified, *changes.deleted})
    if tracked:
        raise _dirty(checkout.work_tree, [shown(path) for path in tracked], "commit or stash them")
    trial = ("read-tree", "-n", "-m", "-u", expected_old, new)
    answer = await git(checkout, *trial, check=False, timeout=_CHECKOUT_TIMEOUT_SECONDS)
    if answer.returncode != 0:
        # git names the first file only; an untracked file that the new commit also has is in its way.
        untracked = {shown(path) for path in changes.untracked}
        in_the_way = [path for path in untracked if f"'{path}'" in answer.stderr]
        raise _dirty(checkout.work_tree, in_the_way or sorted(untracked), "move them away")


def _dirty(work_tree: Path | None, paths: list[str], mend: str) -> DirtyCheckout:
    more = f" and {len(paths) - _SHOWN_PATHS_MAX} more" if len(paths) > _SHOWN_PATHS_MAX else ""
    listed = ", ".join(paths[:_SHOWN_PATHS_MAX])
    return DirtyCheckout(
        f"{work_tree} has changes that a promotion would overwrite: {listed}{more}; {mend}, then retry",
        paths=paths,
    )
