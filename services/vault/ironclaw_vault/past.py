"""Where a mainline stands, now or as of then: git knows the commits, the ledger when they were the head."""

import msgspec

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints.ledger import LIST_EVENTS, EventsQuery
from ironclaw_contracts.endpoints.ledger_proof import (
    FIND_POINT,
    LIST_MAINLINES,
    MainlinesQuery,
    PointQuery,
)
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import WorktreeArchived
from ironclaw_git import Repository

_ARCHIVED = EventType.WORKTREE_ARCHIVED
_SALVAGE = "refs/ironclaw/salvage/"


class Past:
    """Finds heads."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def commit(
        self, theater_id: str, repository: Repository, commit: str | None, as_of: str | None
    ) -> str:
        """Return the commit that a reader means: the given one, or the mainline's head, now or as of then."""
        if commit is not None and as_of is not None:
            raise BadRequest("commit and as_of: give one of them")
        if commit is not None:
            return commit
        return await (self.head(theater_id, as_of) if as_of is not None else repository.mainline_head())

    async def head(self, theater_id: str, as_of: str) -> str:
        """Return the head that a mainline had. Raises `NotFound` when the ledger knew nothing of it yet."""
        heads = await self.heads(as_of, theater_id)
        if theater_id not in heads:
            raise NotFound(f"as of {as_of} the ledger knew nothing of theater {theater_id!r}")
        return heads[theater_id]

    async def heads(self, as_of: str, theater_id: str | None = None) -> dict[str, str]:
        """Return the heads of all theaters that the ledger knew."""
        query = MainlinesQuery(as_of=as_of, theater_id=theater_id)
        found = await self._client.call(LIST_MAINLINES, query=query)
        return {mainline.theater_id: mainline.commit for mainline in found.mainlines}

    async def salvaged(
        self, theater_id: str, order_id: str | None, as_of: str, count_max: int
    ) -> dict[str, str]:
        """Return the newest salvage refs that the ledger knew, with the commit of each."""
        before: int | None = (await self._client.call(FIND_POINT, query=PointQuery(as_of))).seq + 1
        commits: dict[str, str] = {}
        while before is not None and len(commits) < count_max:
            query = EventsQuery(
                before=before, type=_ARCHIVED, theater_id=theater_id, order_id=order_id, limit=1_000
            )
            page = await self._client.call(LIST_EVENTS, query=query)
            for event in page.events:
                kept = msgspec.convert(event.payload, WorktreeArchived)
                if kept.ref is not None and kept.head is not None and kept.ref.startswith(_SALVAGE):
                    commits.setdefault(kept.ref, kept.head)
            before = page.next_after
        return commits
