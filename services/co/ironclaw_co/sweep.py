"""Which runs the timer looks at: all that are open, and at the start also those that ended lately."""

from collections.abc import AsyncIterator

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.enums import RunStatus

_ENDED_LOOKED_AT_MAX = 200


class RunSweep:
    """Lists runs for the reconciler."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._started = False

    async def keys(self) -> AsyncIterator[str]:
        """Yield run ids; the first sweep has ended runs too, whose worktrees a crash may have left."""
        if not self._started:
            page = await self._client.call(api.LIST_RUNS, query=api.RunsQuery(limit=_ENDED_LOOKED_AT_MAX))
            for run in page.runs:
                yield run.run_id
            self._started = True
        cursor = None
        while True:
            query = api.RunsQuery(status=RunStatus.OPEN, cursor=cursor, limit=500)
            page = await self._client.call(api.LIST_RUNS, query=query)
            for run in page.runs:
                yield run.run_id
            cursor = page.next_cursor
            if cursor is None:
                return
