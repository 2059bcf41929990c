"""Work kept from attempts that were not merged: list it, look at it, put it on a branch."""

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound
from ironclaw_git import Kept, Repository
from ironclaw_vault.theaters import Theaters

_LISTED_MAX = 1_000
_DIFF_BYTES_MAX = 512 * 1024
_PATHS_MAX = 500


class Salvages:
    """Reads the salvage refs of all theaters."""

    def __init__(self, theaters: Theaters, ledger: LedgerClient) -> None:
        self._theaters = theaters
        self._ledger = ledger

    async def listed(self, theater_id: str) -> api.SalvageList:
        """Return what is kept in a theater, newest first."""
        repository = await self._theaters.repository(theater_id)
        kept = await ironclaw_git.kept_refs(repository, "salvage")
        return api.SalvageList(salvage=[_entry(item) for item in kept[:_LISTED_MAX]])

    async def show(self, order_id: str, attempt: int | None) -> api.SalvageDetail:
        """Return what the kept work changes. Raises `NotFound` when nothing is kept."""
        repository, kept = await self._kept(order_id, attempt)
        found = await repository.git("merge-base", kept.commit, await repository.mainline_head(), check=False)
        if found.returncode != 0:
            raise Conflict(f"{kept.ref} shares no history with the mainline")
        base = found.line
        changed = await repository.changed_paths(base, kept.commit)
        diff = await repository.diff(base, kept.commit, _DIFF_BYTES_MAX)
        return api.SalvageDetail(
            salvage=_entry(kept),
            base_commit=base,
            paths=[path.path for path in changed[:_PATHS_MAX]],
            diff=diff.patch,
            truncated=diff.truncated,
        )

    async def restore(self, order_id: str, request: api.Restoration) -> api.Restored:
        """Put the kept work on a branch, where a person or another order can take it up.

        Doing it again is harmless. Raises `Conflict` when the branch stands on other work.
        """
        repository, kept = await self._kept(order_id, request.attempt)
        branch = request.branch or f"restored/{kept.order_id}.{kept.attempt}"
        try:
            ref = f"refs/heads/{ironclaw_git.check_branch(branch)}"
        except ironclaw_git.UnsafeName as error:
            raise BadRequest(f"branch: {error}") from error
        have = await repository.ref(ref)
        if have is None:
            await repository.git("update-ref", ref, kept.commit, "")
        elif have != kept.commit:
            raise Conflict(f"branch {branch} stands on {have}; name another")
        return api.Restored(
            order_id=order_id,
            attempt=kept.attempt,
            branch=branch,
            commit=kept.commit,
            repo_path=str(repository.work_tree or repository.git_dir),
        )

    async def _kept(self, order_id: str, attempt: int | None) -> tuple[Repository, Kept]:
        order = (await self._ledger.order(order_id)).order
        repository = await self._theaters.repository(order.theater_id)
        kept = await ironclaw_git.kept_refs(repository, "salvage", order_id)
        wanted = [item for item in kept if attempt in {None, item.attempt}]
        if not wanted:
            which = f"attempt {attempt} of order" if attempt is not None else "order"
            raise NotFound(f"nothing is kept of {which} {order_id}: it left no unmerged work")
        return repository, max(wanted, key=lambda item: item.attempt)


def _entry(kept: Kept) -> api.Salvage:
    return api.Salvage(
        order_id=kept.order_id,
        attempt=kept.attempt,
        ref=kept.ref,
        commit=kept.commit,
        subject=kept.subject,
        kept_at=kept.kept_at,
        merged=kept.merged,
    )
