"""Which plan a run gets: the playbook it named, the one that fits, the model's, or a draft."""

import msgspec

from ironclaw_chassis.client import ServiceClient
from ironclaw_co.draft_plan import CannotPlan, DraftPlan, Wish
from ironclaw_co.model_planner import ModelPlanner
from ironclaw_co.planner import wish_of
from ironclaw_co.playbooks import PLAYBOOKS, choose, needs_files
from ironclaw_co.playbooks.codemod import CODEMOD
from ironclaw_contracts.commands import AGENT, POLICY_FILE, TheaterPolicy, parse_policy
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.errors import BadRequest, NotFound
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
            if run.playbook == AGENT and self._model is None:
                raise CannotPlan("an agent needs a model, and none is configured: set IOINTELLIGENCE_API_KEY")
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
        wish = wish_of(run, tuple(file.path for file in listing.files))
        if run.playbook != CODEMOD:
            return wish
        if listing.truncated:
            raise CannotPlan(f"the theater has more than {_FILES_MAX} files; split it by several runs")
        return msgspec.structs.replace(wish, policy=await self._policy(run.theater_id))

    async def _policy(self, theater_id: str) -> TheaterPolicy:
        try:
            query = vault.FileQuery(path=POLICY_FILE)
            raw: bytes | None = await self._client.call(vault.READ_FILE, query=query, theater_id=theater_id)
        except NotFound:
            raw = None
        try:
            return parse_policy(raw)
        except BadRequest as error:
            raise CannotPlan(error.message) from error
