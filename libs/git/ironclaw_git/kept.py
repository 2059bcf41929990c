"""What is kept under refs/ironclaw: listed in one git process, and dropped only when the mainline has it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from ironclaw_git.errors import WouldLoseWork
from ironclaw_git.names import check_id, check_sha
from ironclaw_git.repository import Repository

Family = Literal["salvage", "archive"]
_FORMAT = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(subject)"


class Kept(Struct, frozen=True):
    """A commit kept from an attempt. `merged` when the mainline contains it."""

    order_id: str
    attempt: int
    ref: str
    commit: str
    subject: str
    kept_at: datetime
    merged: bool


async def kept_refs(repo: Repository, family: Family, order_id: str | None = None) -> list[Kept]:
    """Return what is kept of all orders, or of one, newest first."""
    folder = f"refs/ironclaw/{family}" + (f"/{check_id(order_id, 'order_id')}" if order_id else "")
    listed = await repo.git("for-each-ref", f"--format={_FORMAT}", folder)
    merged = await repo.git(
        "for-each-ref", "--format=%(refname)", f"--merged={await repo.mainline_head()}", folder
    )
    contained = set(merged.stdout.decode().split())
    found = [
        _kept(line.split("\0"), contained)
        for line in listed.stdout.decode("utf-8", "replace").splitlines()
        if line.count("\0") >= 3
    ]
    return sorted(found, key=lambda kept: (kept.kept_at, kept.ref), reverse=True)


async def kept_by_then(repo: Repository, commits: Mapping[str, str], mainline: str) -> list[Kept]:
    """Return what refs kept at an earlier time, newest first, as `mainline` then contained it.

    `commits` has the commit of each ref then; a ref may be gone or moved on since. Raises `GitError` for
    a commit that is gone.
    """
    if not commits:
        return []
    wanted = {check_sha(commit) for commit in commits.values()}
    listed = await repo.git("log", "--no-walk=unsorted", "--format=%H%x00%ct%x00%s", *wanted)
    unmerged = await repo.git("rev-list", *wanted, f"^{check_sha(mainline)}")
    contained = wanted - set(unmerged.stdout.decode().split())
    lines = listed.stdout.decode("utf-8", "replace").rstrip("\n").split("\n")
    told = dict(line.split("\0", 1) for line in lines)
    refs_contained = {ref for ref, commit in commits.items() if commit in contained}
    found = [
        _kept([ref, commit, *told[commit].split("\0", 1)], refs_contained) for ref, commit in commits.items()
    ]
    return sorted(found, key=lambda kept: (kept.kept_at, kept.ref), reverse=True)


async def drop_merged(repo: Repository, kept: Kept) -> None:
    """Delete a ref whose commit the mainline contains. Raises `WouldLoseWork` when it does not."""
    if not await repo.is_ancestor(kept.commit, await repo.mainline_head()):
        raise WouldLoseWork(f"{kept.ref} keeps {kept.commit}, which is not merged; it stays")
    await repo.git("update-ref", "-d", kept.ref, kept.commit)


def _kept(fields: list[str], contained: set[str]) -> Kept:
    ref, commit, unix, subject = fields[0], fields[1], fields[2], fields[3]
    order_id, attempt = ref.split("/")[-2:]
    return Kept(
        order_id=order_id,
        attempt=int(attempt),
        ref=ref,
        commit=commit,
        subject=subject,
        kept_at=datetime.fromtimestamp(int(unix), UTC),
        merged=ref in contained,
    )
