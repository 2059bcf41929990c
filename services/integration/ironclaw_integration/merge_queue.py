"""One merge queue a theater: batches gated as merged, bisected on failure, promoted by compare-and-swap.

Safe to stop between any two steps: the mainline moves in one step, and the repository tells how far a merge
got. Orders that a crash left GATED are on the mainline, or are merged anew.
"""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import structlog

import ironclaw_git
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.tracing import span
from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_contracts.errors import Conflict
from ironclaw_contracts.payloads import GateResult, IntegrationPassed
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_integration.announcing import Announcer
from ironclaw_integration.chaining import Candidate, Chain, build_chain
from ironclaw_integration.claims import rerun_mismatch
from ironclaw_integration.definition import BadGates, Gates
from ironclaw_integration.gates import holding, reason_of, report_result, turned_down
from ironclaw_integration.metrics import MERGE_SECONDS
from ironclaw_integration.ordering import APPROVAL_AWAITED, awaits_approval, in_order, is_free, next_batch
from ironclaw_integration.patience import Patience
from ironclaw_integration.proofs import Proofs, halt_reason
from ironclaw_integration.runner import GateRunner, Tree
from ironclaw_integration.store import Approval, Store
from ironclaw_integration.theaters import Mainline, Theaters
from ironclaw_integration.verdicts import PASSED

log = structlog.get_logger()

QUEUED_PHASES = frozenset({OrderPhase.READY, OrderPhase.INTEGRATING, OrderPhase.GATED, OrderPhase.HELD})
_SWAPS_MAX = 5
_ROUNDS_MAX = 1_000
_HELD_TURN = 8
"""One round in so many begins with the held orders, so that no endless stream of new ones starves them."""


class MergeQueue:
    """Merges the orders of theaters, one theater at a time each."""

    def __init__(
        self,
        ledger: LedgerClient,
        theaters: Theaters,
        store: Store,
        runner: GateRunner,
        proofs: Proofs,
        escalations: Escalations,
    ) -> None:
        self._ledger = ledger
        self._theaters = theaters
        self._store = store
        self._runner = runner
        self._proofs = proofs
        self._escalations = escalations
        self._announcer = Announcer(ledger)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._patience = Patience()

    async def drain(self, theater_id: str) -> None:
        """Merge every order of a theater that can be merged now."""
        async with self._locks[theater_id]:
            await self._rounds(theater_id, None)

    async def drain_one(self, order: OrderSnapshot, wait_seconds: float) -> None:
        """Merge one order now, before all others; also when it is held and its time has not come.

        Raises `TimeoutError` when the queue works on others for longer than `wait_seconds`.
        """
        lock = self._locks[order.theater_id]
        async with asyncio.timeout(wait_seconds):
            await lock.acquire()
        try:
            self._patience.forget(order)
            await self._rounds(order.theater_id, order.order_id)
        finally:
            lock.release()

    def retry_held(self, theater_id: str) -> None:
        """Have the held orders of a theater tried at the next round: what held them may be mended."""
        self._patience.forget_all(theater_id)

    async def _rounds(self, theater_id: str, only: str | None) -> None:
        done: set[tuple[str, int]] = set()
        swaps = 0
        for number in range(1, _ROUNDS_MAX + 1):
            turn = number % _HELD_TURN == 0
            queued = [o async for o, _ in self._ledger.orders_in(sorted(QUEUED_PHASES), theater_id)]
            waiting = [
                o
                for o in in_order(queued, held_first=turn)
                if (o.order_id, o.attempt) not in done or (turn and o.phase is OrderPhase.HELD)
            ]
            waiting = [o for o in waiting if only is None or o.order_id == only]
            if not waiting:
                return
            try:
                settled = await self._round(theater_id, waiting)
            except ironclaw_git.StaleRef as error:
                swaps += 1
                if swaps >= _SWAPS_MAX:
                    raise Conflict(
                        f"the mainline of {theater_id} moves faster than its orders can merge"
                    ) from error
                log.info("the mainline moved, merging again", theater_id=theater_id, reason=str(error))
                continue
            done |= {(order.order_id, order.attempt) for order in settled}
            if len(settled) == len(waiting):
                return  # who became ready meanwhile was hinted at, and the hint means one more drain

    async def _round(self, theater_id: str, waiting: list[OrderSnapshot]) -> list[OrderSnapshot]:
        """Take the next batch as far as it gets; return the orders that need no further look now."""
        try:
            mainline = await self._theaters.mainline(theater_id)
        except BadGates as error:
            await self.halt(theater_id, "gates.toml", str(error), str(error)[:200])
            return await self._hold(waiting, str(error), [])
        merged = [order for order in waiting if await _is_promoted(mainline, order)]
        if merged:
            await _bring_along(mainline)
            promoted = [(order, order.merge_commit or "") for order in merged]
            with _merging(merged):
                await self._announcer.integrated(promoted, mainline.repository.mainline_branch)
            return merged
        resting = [order for order in waiting if self._patience.rests(order, mainline.head)]
        if resting:
            return resting
        if not mainline.gates.merge.require_approval:
            return await self._merge(mainline, next_batch(waiting, mainline.gates.merge.batch, is_free))
        return await self._round_with_approvals(mainline, waiting)

    async def _round_with_approvals(
        self, mainline: Mainline, waiting: list[OrderSnapshot]
    ) -> list[OrderSnapshot]:
        """Batch what was approved; gate the rest alone, so that a person is asked only for what passes."""
        decided = {order.order_id: await self._approval(order) for order in waiting}
        asked = [o for o in waiting if decided[o.order_id] is None and awaits_approval(o)]
        if asked:
            return asked

        def may_share(order: OrderSnapshot) -> bool:
            return decided[order.order_id] is not None and is_free(order)

        batch = next_batch(waiting, mainline.gates.merge.batch, may_share)
        refused = decided[batch[0].order_id]
        if refused is not None and not refused.approved:
            reason = f"{refused.decided_by} refused it: {refused.note or 'no reason given'}"
            await self._announcer.refused(batch[0], reason, [_approval_result(refused)])
            return batch[:1]
        approved = [o for o in batch if (d := decided[o.order_id]) is None or d.approved]
        return await self._merge(mainline, approved)

    async def _approval(self, order: OrderSnapshot) -> Approval | None:
        return await self._store.approval(order.order_id, order.attempt, order.commit_sha or "")

    async def _merge(self, mainline: Mainline, orders: list[OrderSnapshot]) -> list[OrderSnapshot]:
        with _merging(orders):
            return await self._settle(mainline, orders)

    async def _settle(self, mainline: Mainline, orders: list[OrderSnapshot]) -> list[OrderSnapshot]:
        """Gate orders together and promote them, or find out which of them is to blame.

        Raises `StaleRef` when somebody else moved the mainline.
        """
        chain = await build_chain(mainline, orders)
        settled = await self._turn_away(mainline, chain)
        candidates = chain.candidates
        if not candidates:
            return settled
        results = await self._run_commands(mainline, chain.tip, candidates)
        if not turned_down(results):
            return settled + await self._promote(mainline, candidates, results)
        if len(candidates) == 1:
            await self._blame(mainline, candidates[0], results)
            return [*settled, candidates[0].order]
        half = (len(candidates) + 1) // 2
        for part in (candidates[:half], candidates[half:]):
            now = await self._theaters.mainline(mainline.theater_id)
            settled += await self._settle(now, [candidate.order for candidate in part])
        return settled

    async def _turn_away(self, mainline: Mainline, chain: Chain) -> list[OrderSnapshot]:
        """Tell of everything that could not be a candidate; return those orders but the deferred ones."""
        for order, paths in chain.conflicting:
            await self._announcer.conflicting(order, paths)
        for refused in chain.refused:
            bad = turned_down(refused.results)
            await self._note(refused.order, refused.results)
            await self._announcer.refused(refused.order, reason_of(bad), refused.results)
        for order, reason in chain.unworkable:
            await self._hold_one(mainline, order, f"git cannot work on it: {reason}", [])
        named = [order for order, _ in (*chain.conflicting, *chain.unworkable)]
        return [*named, *(one.order for one in chain.refused)]

    async def _run_commands(
        self, mainline: Mainline, tip: Tree, candidates: list[Candidate]
    ) -> list[GateResult]:
        """Run the gates' commands on a tree: all of them for one order, for several until one says no."""
        if mainline.gates.gate:
            await self._announcer.started([candidate.order for candidate in candidates])
        results: list[GateResult] = []
        for gate in mainline.gates.gate:
            results.append(await self._runner.judge(mainline.repository, tip, gate))
            if len(candidates) > 1 and results[-1].verdict != PASSED:
                break
        return results

    async def _blame(self, mainline: Mainline, candidate: Candidate, results: list[GateResult]) -> None:
        """Refuse one order for what the gates said of it alone, or hold it when they said nothing of it.

        Where the mainline itself does not pass, the order is not to blame: an order that mends it passes.
        """
        everything = [*candidate.results, *results]
        held = holding(results)
        bad = turned_down(results)
        base = Tree(mainline.head, await mainline.repository.tree_of(mainline.head))
        gates = [g for g in mainline.gates.gate if g.name in {result.gate for result in bad}]
        before = [await self._runner.judge(mainline.repository, base, gate) for gate in gates]
        if held:
            reason = f"could not be judged: {reason_of(held)}"
            if not turned_down(before):
                reason += "; on the mainline as it is these gates run"
            await self._hold_one(mainline, candidate.order, reason, everything)
        elif red := turned_down(before):
            reason = f"the mainline itself does not pass, at {mainline.head[:12]}: {reason_of(red)}"
            await self._hold_one(mainline, candidate.order, reason, everything)
        else:
            everything += _rerun(mainline, candidate, bad)
            await self._note(candidate.order, everything)
            await self._announcer.refused(candidate.order, reason_of(bad), everything)

    async def _promote(
        self, mainline: Mainline, candidates: list[Candidate], results: list[GateResult]
    ) -> list[OrderSnapshot]:
        """Move the mainline to a gated chain, in one step. Raises `StaleRef`."""
        orders = [candidate.order for candidate in candidates]
        tip = candidates[-1].merge
        repository = mainline.repository
        # What holds without a gates.toml is proven on schedule; its owner can have weakened nothing.
        lacking = await self._proofs.ensure(mainline, tip.commit) if mainline.gates != Gates() else []
        if lacking:
            reason = halt_reason(lacking)
            for proof in lacking:
                await self.halt(mainline.theater_id, proof.gate, reason, proof.episode)
            return await self._hold(orders, reason, results, mainline)
        approvals: dict[str, Approval] = {}
        if mainline.gates.merge.require_approval:
            for order in orders:
                approval = await self._approval(order)
                if approval is None:
                    reason = f"{APPROVAL_AWAITED}: ironclaw approvals decide {order.order_id}"
                    return await self._hold([order], reason, [*candidates[0].results, *results])
                approvals[order.order_id] = approval
        for one in candidates:
            await self._note(one.order, one.results)
        target = await _target(mainline, candidates)
        try:
            await self._announcer.passed(
                [(one.order, _passed(one, results, approvals)) for one in candidates]
            )
        except Conflict as error:
            log.info("an order has moved on", theater_id=mainline.theater_id, reason=error.message)
            return await self._moved_on(orders, error)
        try:
            await ironclaw_git.promote(repository, target, mainline.head)
        except ironclaw_git.DirtyCheckout as error:
            fresh = [(await self._ledger.order(order.order_id)).order for order in orders]
            return await self._hold(fresh, str(error), [], mainline)
        await self._announcer.integrated(
            [(one.order, one.merge.commit) for one in candidates], repository.mainline_branch
        )
        return orders

    async def _note(self, order: OrderSnapshot, results: list[GateResult]) -> None:
        """Count a judged report, and what of it was not so, in its profile's figures."""
        kinds = {kind for result in results for kind in result.mismatches}
        profile = order.order.profile
        await self._store.note_report(order.order_id, order.attempt, profile.name, profile.model, kinds)

    async def _moved_on(self, orders: list[OrderSnapshot], error: Conflict) -> list[OrderSnapshot]:
        """Return the orders that left the queue while they were gated, as by being cancelled."""
        fresh = [(await self._ledger.order(order.order_id)).order for order in orders]
        gone = [
            order
            for order, now in zip(orders, fresh, strict=True)
            if now.phase not in QUEUED_PHASES or now.attempt != order.attempt
        ]
        if not gone:
            raise error
        return gone

    async def _hold(
        self,
        orders: list[OrderSnapshot],
        reason: str,
        results: list[GateResult],
        mainline: Mainline | None = None,
    ) -> list[OrderSnapshot]:
        for order in orders:
            if mainline is not None:
                self._patience.rest(order, mainline.head)
            await self._announcer.held(order, reason, results)
        return orders

    async def _hold_one(
        self, mainline: Mainline, order: OrderSnapshot, reason: str, results: list[GateResult]
    ) -> None:
        await self._hold([order], reason, results, mainline)

    async def halt(self, theater_id: str, what: str, reason: str, episode: str) -> None:
        """Tell a person that merges of a theater halt, once for each episode."""
        await self._escalations.raise_once(
            Severity.HIGH,
            f"gates:{theater_id}/{what}",
            f"merges of theater {theater_id} halt: {reason}",
            episode=episode,
            theater_id=theater_id,
        )


@contextmanager
def _merging(orders: list[OrderSnapshot]) -> Generator[None]:
    """Time the merge of each order, under a span in the trace of its own run."""
    with ExitStack() as stack:
        for order in orders:
            stack.enter_context(MERGE_SECONDS.time())
            if order.traceparent is not None:
                about = {"ironclaw.order_id": order.order_id, "ironclaw.attempt": order.attempt}
                stack.enter_context(span("integration.merge", parent=order.traceparent, attributes=about))
        yield


def _rerun(mainline: Mainline, candidate: Candidate, bad: list[GateResult]) -> list[GateResult]:
    """Return what the failed tests say of a report that claims they pass."""
    tests = {gate.name for gate in mainline.gates.gate if gate.kind == "tests"}
    found = rerun_mismatch(candidate.claims, tests & {result.gate for result in bad})
    return [report_result(found, mainline.gates)] if found else []


def _approval_result(approval: Approval) -> GateResult:
    verdict = "passed" if approval.approved else "failed"
    said = f"{approval.decided_by} at {approval.decided_at.isoformat()}: {approval.note or 'no note'}"
    return GateResult(gate="approval", verdict=verdict, detail=said)


def _passed(one: Candidate, results: list[GateResult], approvals: dict[str, Approval]) -> IntegrationPassed:
    approval = approvals.get(one.order.order_id)
    person = [_approval_result(approval)] if approval is not None else []
    return IntegrationPassed(
        attempt=one.order.attempt,
        merge_commit=one.merge.commit,
        onto=one.onto,
        gates=[*one.results, *results, *person],
    )


async def _target(mainline: Mainline, candidates: list[Candidate]) -> str:
    """Return the commit that the mainline moves to: the merge, or for several one step that joins them.

    The commands judged the last tree only, so no other may stand in the first-parent history (ADR 12).
    """
    if len(candidates) == 1 or not mainline.gates.gate:
        return candidates[-1].merge.commit
    titles = "".join(f"\n- {one.order.title} ({one.order.order_id})" for one in candidates)
    return await ironclaw_git.join(
        mainline.repository,
        mainline.head,
        candidates[-1].merge.commit,
        f"Merge {len(candidates)} orders\n{titles}",
        when=max(one.order.created_at for one in candidates),
    )


async def _bring_along(mainline: Mainline) -> None:
    """Have the user's checkout follow a promotion that a crash cut in two."""
    try:
        await ironclaw_git.catch_up(mainline.repository)
    except ironclaw_git.DirtyCheckout as error:
        # The work is merged all the same; the next promotion is held with this reason.
        log.warning("a checkout is behind", theater_id=mainline.theater_id, reason=str(error))


async def _is_promoted(mainline: Mainline, order: OrderSnapshot) -> bool:
    """Tell whether a crash came between the promotion of a gated merge and its event."""
    return (
        order.phase is OrderPhase.GATED
        and order.merge_commit is not None
        and await mainline.repository.is_ancestor(order.merge_commit, mainline.head)
    )
