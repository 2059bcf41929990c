"""One merge queue a theater: oldest ready order first, gated as merged, promoted by compare-and-swap."""

import asyncio
from collections import defaultdict
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.tracing import span
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.integration import (
    IntegrationAnswer,
    IntegrationRequest,
    Trial,
    TrialRequest,
)
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.errors import BadRequest, Conflict
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import (
    AttemptPayload,
    GateResult,
    Integrated,
    IntegrationFailed,
    IntegrationPassed,
    IntegrationStarted,
    OrderBlocked,
)
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_integration.evidence import gather_facts
from ironclaw_integration.gates import failed, run_gates
from ironclaw_integration.metrics import MERGE_SECONDS, MERGES

log = structlog.get_logger()

QUEUED_PHASES = frozenset({OrderPhase.READY, OrderPhase.INTEGRATING, OrderPhase.GATED, OrderPhase.HELD})
_SWAPS_MAX = 5


class Candidate(Struct, frozen=True):
    """A gated merge commit and the mainline commit that it goes onto."""

    merge_commit: str
    onto: str
    gates: list[GateResult]


class MergeQueue:
    """Merges orders; safe to stop between any two steps: the repository tells how far a merge got."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient) -> None:
        self._client = client
        self._ledger = ledger
        self._repositories: dict[str, Repository] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._gates: dict[tuple[str, int], list[GateResult]] = {}

    async def drain(self, theater_id: str) -> None:
        """Merge every ready order of a theater, oldest first."""
        async with self._locks[theater_id]:
            queued = [o async for o, _ in self._ledger.orders_in(sorted(QUEUED_PHASES), theater_id)]
            for order in sorted(queued, key=lambda order: (order.phase is OrderPhase.HELD, order.first_seq)):
                await self._integrate(order)

    async def integrate(self, request: IntegrationRequest) -> IntegrationAnswer:
        """Merge one order now and say how far it got.

        Raises `BadRequest` when the request names another theater or worktree than the order's, `Conflict`
        when the order is not ready.
        """
        async with self._locks[request.theater_id]:
            order = (await self._ledger.order(request.order_id)).order
            if order.theater_id != request.theater_id:
                raise BadRequest(f"theater_id: order {order.order_id} is of theater {order.theater_id}")
            path = order.worktree.path if order.worktree else None
            if request.worktree_path is not None and request.worktree_path != path:
                raise BadRequest(f"worktree_path: order {order.order_id} works in {path}")
            if order.phase in QUEUED_PHASES:
                await self._integrate(order)
                order = (await self._ledger.order(request.order_id)).order
            elif order.phase is not OrderPhase.INTEGRATED:
                raise Conflict(f"order {order.order_id} is {order.phase}, not ready to be integrated")
        return IntegrationAnswer(
            order_id=order.order_id,
            phase=order.phase,
            merge_commit=order.merge_commit,
            reason=order.hold or (order.history[-1].reason if order.history else None),
            gates=self._gates.pop((order.order_id, order.attempt), []),
        )

    async def try_merge(self, request: TrialRequest) -> Trial:
        """Merge and gate a finished attempt without telling anybody; no ref moves."""
        order = (await self._ledger.order(request.order_id)).order
        attempt = msgspec.structs.replace(
            order,
            attempt=request.attempt,
            commit_sha=request.commit_sha,
            artifacts=request.artifacts,
            worktree=None,
        )
        repository = await self._repository(order.theater_id)
        onto = await repository.mainline_head()
        merged = await _merge(repository, attempt, request.commit_sha, onto)
        if isinstance(merged, ironclaw_git.Conflict):
            return Trial(passed=False, reason=_conflicting(list(merged.paths)), gates=[])
        facts = await gather_facts(repository, attempt, request.commit_sha, onto, merged.commit)
        results = await asyncio.to_thread(run_gates, attempt, facts)
        turned_down = failed(results)
        return Trial(passed=not turned_down, reason=_reason(turned_down) or None, gates=results)

    async def _integrate(self, order: OrderSnapshot) -> None:
        about = {"ironclaw.order_id": order.order_id, "ironclaw.attempt": order.attempt}
        with span("integration.merge", parent=order.traceparent, attributes=about), MERGE_SECONDS.time():
            await self._merge_one(order)

    async def _merge_one(self, order: OrderSnapshot) -> None:
        commit = order.commit_sha
        if commit is None:
            raise Conflict(f"order {order.order_id} has no commit to integrate")
        repository = await self._repository(order.theater_id)
        for _ in range(_SWAPS_MAX):
            onto = await repository.mainline_head()
            if await _is_promoted(repository, order, onto):
                await self._done(order, order.merge_commit or "", repository)
                return
            candidate = await self._gate(repository, order, commit, onto)
            if candidate is None:
                return
            try:
                await ironclaw_git.promote(repository, candidate.merge_commit, onto)
            except ironclaw_git.StaleRef as error:
                log.info("the mainline moved, merging again", order_id=order.order_id, reason=str(error))
                order = (await self._ledger.order(order.order_id)).order
                continue
            except ironclaw_git.DirtyCheckout as error:
                await self._hold(order, str(error))
                return
            await self._done(order, candidate.merge_commit, repository)
            return
        raise Conflict(
            f"the mainline of {order.theater_id} moves faster than order {order.order_id} can merge"
        )

    async def _gate(
        self, repository: Repository, order: OrderSnapshot, commit: str, onto: str
    ) -> Candidate | None:
        """Merge onto the mainline's head and gate the result; None when the order was turned away.

        Nothing is told before the gates ran: a crash until then leaves the order as it was, ready.
        """
        merged = await _merge(repository, order, commit, onto)
        started = IntegrationStarted(attempt=order.attempt, commit_sha=commit)
        if isinstance(merged, ironclaw_git.Conflict):
            await self._conflict(order, started, onto, list(merged.paths))
            return None
        facts = await gather_facts(repository, order, commit, onto, merged.commit)
        results = await asyncio.to_thread(run_gates, order, facts)
        self._gates[order.order_id, order.attempt] = results
        turned_down = failed(results)
        if turned_down:
            MERGES.labels("rejected").inc()
            refusal = IntegrationFailed(attempt=order.attempt, reason=_reason(turned_down), gates=results)
            await self._append(order, EventType.INTEGRATION_FAILED, refusal, started=started, ordinal=onto)
            return None
        passed = IntegrationPassed(
            attempt=order.attempt, merge_commit=merged.commit, onto=onto, gates=results
        )
        await self._append(order, EventType.INTEGRATION_PASSED, passed, started=started, ordinal=onto)
        return Candidate(merge_commit=merged.commit, onto=onto, gates=results)

    async def _conflict(
        self, order: OrderSnapshot, started: IntegrationStarted, onto: str, paths: list[str]
    ) -> None:
        """Turn a conflicting order away: reissued once on the new mainline, blocked the second time."""
        reason = _conflicting(paths)
        if any(end.conflicts for end in order.history):
            MERGES.labels("blocked").inc()
            blocked = OrderBlocked(attempt=order.attempt, reason=reason, conflicts=paths)
            await self._append(order, EventType.ORDER_BLOCKED, blocked, started=started, ordinal=onto)
        else:
            MERGES.labels("conflict").inc()
            refusal = IntegrationFailed(attempt=order.attempt, reason=reason, conflicts=paths)
            await self._append(order, EventType.INTEGRATION_FAILED, refusal, started=started, ordinal=onto)

    async def _hold(self, order: OrderSnapshot, reason: str) -> None:
        """Hold a merge that has to wait for a person; said once for each reason."""
        if order.hold == reason[:2000]:
            return
        MERGES.labels("held").inc()
        held = IntegrationFailed(attempt=order.attempt, reason=reason[:2000], hold=True)
        await self._append(order, EventType.INTEGRATION_FAILED, held, ordinal=f"hold-{order.last_seq}")

    async def _done(self, order: OrderSnapshot, merge_commit: str, repository: Repository) -> None:
        done = Integrated(attempt=order.attempt, commit_sha=merge_commit, mainline=repository.mainline_branch)
        await self._append(order, EventType.INTEGRATED, done)
        MERGES.labels("integrated").inc()

    async def _repository(self, theater_id: str) -> Repository:
        """Return a theater's repository; where it lies and which branch is its mainline never change."""
        if theater_id not in self._repositories:
            theater = await self._client.call(vault.GET_THEATER, theater_id=theater_id)
            self._repositories[theater_id] = await Repository.open(Path(theater.repo_path), theater.mainline)
        return self._repositories[theater_id]

    async def _append(
        self,
        order: OrderSnapshot,
        kind: EventType,
        payload: AttemptPayload,
        *,
        started: IntegrationStarted | None = None,
        ordinal: str = "",
    ) -> None:
        events = [order_event(kind, payload, order, ordinal)]
        if started is not None:
            # A merge tried again (another mainline, after a hold) starts again: last_seq tells them apart.
            begun = f"{ordinal}-{order.last_seq}"
            events = [
                order_event(EventType.INTEGRATION_STARTED, started, order, begun),
                order_event(kind, payload, order, begun),
            ]
        await self._ledger.append_all(events)


async def _merge(
    repository: Repository, order: OrderSnapshot, commit: str, onto: str
) -> ironclaw_git.Merged | ironclaw_git.Conflict:
    message = f"Merge {order.title}\n\nOrder: {order.order_id}\nRun: {order.run_id}"
    # The time of the commit makes the merge the same one when it is made again after a crash.
    return await ironclaw_git.merge(
        repository, onto, commit, message, ironclaw_git.IRONCLAW, when=order.created_at
    )


def _conflicting(paths: list[str]) -> str:
    return f"conflicts with the mainline in {', '.join(paths[:10])}"


def _reason(turned_down: list[GateResult]) -> str:
    return "; ".join(f"{result.gate}: {result.detail}" for result in turned_down)[:2000]


async def _is_promoted(repository: Repository, order: OrderSnapshot, mainline: str) -> bool:
    """Tell whether a crash came between the promotion of a gated merge and its event."""
    return (
        order.phase is OrderPhase.GATED
        and order.merge_commit is not None
        and await repository.is_ancestor(order.merge_commit, mainline)
    )
