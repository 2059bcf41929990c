"""Do a run's orders again with another profile, each from the very commit where it began.

A theater has one mainline, so orders that began at different commits are done again in different theaters.
Nothing of it is learned from: the same work twice is not two outcomes.
"""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_co.admission import Admission
from ironclaw_co.draft_plan import DraftTask
from ironclaw_co.playbooks.replay import REPLAY, inputs_of
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.co import Replay, ReplayPart, ReplayRequest, RunRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.errors import BadRequest, Conflict
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import OrderSnapshot, RunView

_PARTS_MAX = 50
_ENDED = frozenset({OrderPhase.INTEGRATED, OrderPhase.FAILED})


class Replaying:
    """Starts replays."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, admission: Admission) -> None:
        self._client = client
        self._ledger = ledger
        self._admission = admission

    async def replay(self, run_id: str, request: ReplayRequest) -> Replay:
        """Start the runs of a replay.

        Raises `Conflict` while the run goes on or when it began nothing, `BadRequest` for an unknown profile.
        """
        await self._admission.check_profile(request.profile)
        view = await self._ledger.run(run_id)
        if view.run.status is RunStatus.OPEN:
            raise Conflict(f"run {run_id} goes on; replay it when it has ended")
        groups = by_base_commit(view)
        if not groups:
            raise Conflict(f"run {run_id} has no order that was done or failed, nothing to replay")
        if len(groups) > _PARTS_MAX:
            raise BadRequest(
                f"the orders of run {run_id} began at {len(groups)} commits; {_PARTS_MAX} is the most"
            )
        replay_id = request.replay_id or new_id()
        parts = [
            await self._start(view, f"{replay_id}-{number}", base, orders, request)
            for number, (base, orders) in enumerate(groups.items(), start=1)
        ]
        return Replay(replay_id, run_id, request.profile, parts)

    async def _start(
        self, view: RunView, name: str, base: str, orders: list[OrderSnapshot], request: ReplayRequest
    ) -> ReplayPart:
        theater = f"replay-{name}"
        await self._client.call(
            vault.OPEN_THEATER,
            vault.TheaterRequest(theater_id=theater, copy_of=view.run.theater_id, commit=base),
        )
        admitted = await self._admission.create(
            RunRequest(
                user_id=request.user_id,
                objective=view.run.objective,
                theater_hint=theater,
                run_id=name,
                playbook=REPLAY,
                inputs=inputs_of([_task(order) for order in orders]),
                constraints=view.run.constraints,
                budget=view.run.budget,
                on_order_failure="continue",
                profile=request.profile,
                replays=view.run.run_id,
            )
        )
        return ReplayPart(admitted.run.run_id, theater, base, [order.order_id for order in orders])


def by_base_commit(view: RunView) -> dict[str, list[OrderSnapshot]]:
    """Return the orders that came to an end of their own, by the commit at which they began."""
    groups: dict[str, list[OrderSnapshot]] = {}
    for order in view.orders:
        if order.phase in _ENDED and order.worktree is not None:
            groups.setdefault(order.worktree.base_commit, []).append(order)
    return groups


def _task(order: OrderSnapshot) -> DraftTask:
    return DraftTask(
        type=order.order.type,
        title=order.title,
        objective=order.order.objective,
        inputs=order.order.inputs,
    )
