"""Runs: a list that can be narrowed, and is true while it is looked at."""

from ironclaw_api_gateway.console.pages import Asked, Context, Pages, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger, vault
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.ids import check_id

_SHOWN = 50


def add_runs(pages: Pages, client: ServiceClient) -> None:
    """Register the list."""

    async def gather(asked: Asked) -> Context:
        given = {name: asked.query.get(name, "").strip() for name in ("status", "theater_id")}
        if given["status"] and given["status"] not in RunStatus.__members__:
            raise BadRequest(f"status: there is no {given['status'][:40]!r}; choose {', '.join(RunStatus)}")
        query = ledger.RunsQuery(
            status=RunStatus(given["status"]) if given["status"] else None,
            theater_id=check_id(given["theater_id"], "theater_id") if given["theater_id"] else None,
            cursor=asked.number("cursor"),
            limit=_SHOWN,
        )
        page = await client.call(ledger.LIST_RUNS, query=query)
        return {
            "runs": page.runs,
            "next_cursor": page.next_cursor,
            "given": given,
            "statuses": list(RunStatus),
            "theaters": [t.theater_id for t in (await client.call(vault.LIST_THEATERS)).theaters],
        }

    pages.views.append(View(path="/console/runs", name="runs", gather=gather, parts=("list",)))
