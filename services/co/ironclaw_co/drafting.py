"""Which plan a run gets: the playbook it named, the one that fits, the model's, or a draft."""

import msgspec

from ironclaw_chassis.client import ServiceClient
from ironclaw_co.draft_plan import CannotPlan, DraftPlan, Wish
from ironclaw_co.model_planner import ModelPlanner
from ironclaw_co.planner import wish_of
from ironclaw_co.playbooks import PLAYBOOKS, choose, needs_files
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.snapshots import RunSnapshot

_FILES_MAX = 10_000


class Drafter:
    """Drafts plans; `model` is None where no model is configured."""

    def __init__(self, client: ServiceClient, model: ModelPlanner | None) -> None:
        self._client = client
        self._model = model

    async def draft(self, run: RunSnapshot) -> DraftPlan:
        """Return a plan for the run. Raises `CannotPlan` when the playbook that it named does not fit."""
        wish = await self._wish(run)
        if run.playbook is not None:
            if run.playbook not in PLAYBOOKS:
                known = ", ".join(sorted(PLAYBOOKS))
                raise CannotPlan(f"no playbook is called {run.playbook!r}; there are {known}")
            return PLAYBOOKS[run.playbook](wish)
        chosen = choose(wish)
        if chosen is not None:
            return PLAYBOOKS[chosen](wish)
        if self._model is None:
            return PLAYBOOKS["draft"](wish)
        try:
            return await self._model.plan(wish)
        except CannotPlan as error:
            note = f"Planned as one draft: {error}"[:2000]
            return msgspec.structs.replace(PLAYBOOKS["draft"](wish), planner="fallback", notes=(note,))

    async def _wish(self, run: RunSnapshot) -> Wish:
        wish = wish_of(run, ())
        if self._model is None and not needs_files(run.playbook, wish):
            return wish
        query = vault.FilesQuery(limit=_FILES_MAX)
        listing = await self._client.call(vault.LIST_FILES, query=query, theater_id=run.theater_id)
        return wish_of(run, tuple(file.path for file in listing.files))
