"""Take a wish in: name its theater, record the run. Nothing is half made, since one event is all there is."""

import asyncio

import structlog
from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_co.playbooks import failure_policy
from ironclaw_co.routing import Router, RoutingTable
from ironclaw_contracts.derived import run_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.co import Cancellation, RunRequest
from ironclaw_contracts.errors import EventConflict, NotFound, Problem
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.ids import derived_event_id, new_id
from ironclaw_contracts.payloads import RunCreated, RunUpdated
from ironclaw_contracts.snapshots import RunSnapshot

log = structlog.get_logger()


class Admitted(Struct, frozen=True):
    """A run as it was recorded, and who gets its orders as of then, where that is known."""

    run: RunSnapshot
    table: RoutingTable | None


class Admission:
    """Records new runs and requests to stop them."""

    def __init__(
        self,
        client: ServiceClient,
        ledger: LedgerClient,
        router: Router,
        default_theater: str,
        garrison_id: str,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._router = router
        self._default_theater = default_theater
        self._garrison_id = garrison_id
        self._known_theaters: set[str] = set()

    async def create(self, request: RunRequest) -> Admitted:
        """Record a run; the same `run_id` and request again give the same run.

        Raises `NotFound` when the theater or the run that it follows up does not exist; the default theater
        is made when it is missing. Raises `BadRequest` for a profile that there is not.
        """
        theater_id = request.theater_hint or self._default_theater
        await self._ensure_theater(theater_id)
        if request.follow_up is not None:
            await self._ledger.run(request.follow_up.run_id)
        if request.profile is not None:
            await self.check_profile(request.profile)
        run_id = request.run_id or new_id()
        created = [
            new_event(
                EventType.RUN_CREATED,
                RunCreated(
                    user_id=request.user_id,
                    objective=request.objective,
                    playbook=request.playbook,
                    inputs=request.inputs,
                    constraints=request.constraints,
                    budget=request.budget,
                    charged_to=request.charged_to,
                    on_order_failure=request.on_order_failure or failure_policy(request.playbook),
                    profile=request.profile,
                    replays=request.replays,
                    follow_up=request.follow_up,
                ),
                run_id=run_id,
                theater_id=theater_id,
                garrison_id=self._garrison_id,
                event_id=derived_event_id(run_id, EventType.RUN_CREATED),
            )
        ]
        seen, table = await asyncio.gather(self._ledger.append_and_see(created), self._table())
        return Admitted(seen.runs[0], table)

    async def _table(self) -> RoutingTable | None:
        try:
            return await self._router.table()
        except Problem as error:  # the run is recorded or not, whatever comes of this
            log.info("routed when it is planned", reason=error.message)
            return None

    async def check_profile(self, name: str) -> None:
        """Raise `BadRequest`, naming those that there are, when no profile has this name."""
        (await self._router.table()).named(name)

    async def cancel(self, run_id: str, cancellation: Cancellation) -> RunSnapshot:
        """Ask for a run to stop, once or twice. Raises `IllegalTransition` when it has ended."""
        run = (await self._ledger.run(run_id)).run
        try:
            request = RunUpdated(cancel_requested=cancellation.reason)
            await self._ledger.append(run_event(EventType.RUN_UPDATED, request, run, "cancel"))
        except EventConflict:
            return run
        return (await self._ledger.run(run_id)).run

    async def _ensure_theater(self, theater_id: str) -> None:
        """See that there is such a theater; one that there was stays."""
        if theater_id in self._known_theaters:
            return
        try:
            await self._client.call(vault.GET_THEATER, theater_id=theater_id)
        except NotFound:
            if theater_id != self._default_theater:
                raise NotFound(
                    f"there is no theater {theater_id!r}; make it with: ironclaw theater add {theater_id}"
                ) from None
            await self._client.call(vault.OPEN_THEATER, vault.TheaterRequest(theater_id=theater_id))
        self._known_theaters.add(theater_id)
