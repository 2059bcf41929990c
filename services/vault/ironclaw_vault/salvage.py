"""Work kept from attempts that were not merged: list it, look at it, put it on a branch."""

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound
from ironclaw_git import Kept, Repository
from ironclaw_vault.past import Past
from ironclaw_vault.theaters import Theaters

_LISTED_MAX = 1_000
_DIFF_BYTES_MAX = 512 * 1024
_PATHS_MAX = 500


class Salvages:
    """Reads the salvage refs of all theaters."""

    def __init__(self, theaters: Theaters, ledger: LedgerClient, past: Past) -> None:
        self._theaters = theaters
        self._ledger = ledger
        self._past = past

    async def listed(self, theater_id: str, as_of: str | None) -> api.SalvageList:
        """Return what is kept in a theater, newest first; as of then, what the ledger knew to be kept."""
        repository = await self._theaters.repository(theater_id)
        kept = await self._all(repository, theater_id, None, as_of)
        return api.SalvageList(salvage=[_entry(item) for item in kept[:_LISTED_MAX]])

    async def show(self, order_id: str, query: api.SalvageQuery) -> api.SalvageDetail:
        """Return what the kept work changes. Raises `NotFound` when nothing is kept."""
        repository, kept, theater_id = await self._kept(order_id, query.attempt, query.as_of)
        head = await self._past.commit(theater_id, repository, None, query.as_of)
        found = await repository.git("merge-base", kept.commit, head, check=False)
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
        repository, kept, _ = await self._kept(order_id, request.attempt, None)
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

    async def _kept(
        self, order_id: str, attempt: int | None, as_of: str | None
    ) -> tuple[Repository, Kept, str]:
        order = (await self._ledger.order(order_id)).order
        repository = await self._theaters.repository(order.theater_id)
        kept = await self._all(repository, order.theater_id, order_id, as_of)
        wanted = [item for item in kept if attempt in {None, item.attempt}]
        if not wanted:
            which = f"attempt {attempt} of order" if attempt is not None else "order"
            raise NotFound(f"nothing is kept of {which} {order_id}: it left no unmerged work")
        return repository, max(wanted, key=lambda item: item.attempt), order.theater_id

    async def _all(
        self, repository: Repository, theater_id: str, order_id: str | None, as_of: str | None
    ) -> list[Kept]:
        """Return what is kept of all orders, or of one. Raises `NotFound` for work of then that is gone."""
        if as_of is None:
            return await ironclaw_git.kept_refs(repository, "salvage", order_id)
        head = await self._past.head(theater_id, as_of)
        commits = await self._past.salvaged(theater_id, order_id, as_of, _LISTED_MAX)
        try:
            return await ironclaw_git.kept_by_then(repository, commits, head)
        except ironclaw_git.GitError as error:
            raise NotFound(f"theater {theater_id} has no longer what was kept as of {as_of}") from error


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
