"""What others ask of integration: merge this, try that, how do the gates stand; and a person's decision."""

from datetime import UTC, datetime

import msgspec

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import integration as api
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import GateResult, IntegrationFailed, IntegrationPassed
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_integration.announcing import conflict_reason
from ironclaw_integration.chaining import judge_built_in, merge_order
from ironclaw_integration.definition import BadGates, CommandGate
from ironclaw_integration.gates import reason_of, turned_down
from ironclaw_integration.merge_queue import QUEUED_PHASES, MergeQueue
from ironclaw_integration.planting import bad_work
from ironclaw_integration.proofs import Proofs, Standing, halt_reason
from ironclaw_integration.runner import GateRunner, Tree
from ironclaw_integration.store import Store
from ironclaw_integration.theaters import Mainline, Theaters
from ironclaw_integration.verdicts import PASSED

_WAIT_SECONDS = 20.0


class Judging:
    """Answers the endpoints."""

    def __init__(
        self,
        ledger: LedgerClient,
        theaters: Theaters,
        store: Store,
        runner: GateRunner,
        proofs: Proofs,
        queue: MergeQueue,
    ) -> None:
        self._ledger = ledger
        self._theaters = theaters
        self._store = store
        self._runner = runner
        self._proofs = proofs
        self._queue = queue

    async def integrate(self, request: api.IntegrationRequest) -> api.IntegrationAnswer:
        """Merge one order now and say how far it got.

        Raises `BadRequest` when the request names another theater or worktree than the order's, `Conflict`
        when the order is not ready.
        """
        order = (await self._ledger.order(request.order_id)).order
        if order.theater_id != request.theater_id:
            raise BadRequest(f"theater_id: order {order.order_id} is of theater {order.theater_id}")
        path = order.worktree.path if order.worktree else None
        if request.worktree_path is not None and request.worktree_path != path:
            raise BadRequest(f"worktree_path: order {order.order_id} works in {path}")
        busy = ""
        if order.phase in QUEUED_PHASES:
            try:
                await self._queue.drain_one(order, _WAIT_SECONDS)
            except TimeoutError:
                busy = "the merge queue is at work on others; it takes this one in turn"
            order = (await self._ledger.order(request.order_id)).order
        elif order.phase is not OrderPhase.INTEGRATED:
            raise Conflict(f"order {order.order_id} is {order.phase}, not ready to be integrated")
        return api.IntegrationAnswer(
            order_id=order.order_id,
            phase=order.phase,
            merge_commit=order.merge_commit,
            reason=busy or order.hold or (order.history[-1].reason if order.history else None),
            gates=await self._verdicts(order),
        )

    async def _verdicts(self, order: OrderSnapshot) -> list[GateResult]:
        """Return what the gates last said of an order's present attempt."""
        kinds = [EventType.INTEGRATION_PASSED, EventType.INTEGRATION_FAILED]
        verdicts: list[GateResult] = []
        async for event in self._ledger.events(kinds, order_id=order.order_id):
            kind = IntegrationPassed if event.type is EventType.INTEGRATION_PASSED else IntegrationFailed
            payload = msgspec.convert(event.payload, kind)
            if payload.attempt == order.attempt:
                verdicts = payload.gates
        return verdicts

    async def try_merge(self, request: api.TrialRequest) -> api.Trial:
        """Merge and gate a finished attempt without telling anybody; no ref moves."""
        order = (await self._ledger.order(request.order_id)).order
        attempt = msgspec.structs.replace(
            order,
            attempt=request.attempt,
            commit_sha=request.commit_sha,
            artifacts=request.artifacts,
            worktree=None,
        )
        mainline = await self._mainline(order.theater_id)
        merged = await merge_order(mainline.repository, attempt, mainline.head)
        if isinstance(merged, ironclaw_git.Conflict):
            return api.Trial(passed=False, reason=conflict_reason(list(merged.paths)), gates=[])
        results, _ = await judge_built_in(mainline, attempt, mainline.head, merged)
        if not turned_down(results):
            for gate in mainline.gates.gate:
                results.append(await self._runner.judge(mainline.repository, merged, gate))
        bad = turned_down(results)
        return api.Trial(passed=not bad, reason=reason_of(bad) or None, gates=results)

    async def show_gates(self, theater_id: str, as_of: str | None = None) -> api.TheaterGates:
        """Return the commands that a theater's mainline asks for, and how each gate's proof stands.

        As of then it is what the mainline asked for; how the proofs stood is not kept.
        """
        head = await self._theaters.head(theater_id, as_of)
        try:
            mainline = await self._theaters.mainline_at(theater_id, head)
        except BadGates as error:
            return api.TheaterGates(theater_id=theater_id, head=head, problem=str(error))
        gates = mainline.gates
        commands = {gate.name: gate for gate in gates.gate}
        if as_of is None:
            standing = await self._proofs.standing(theater_id, gates)
            shown = [_shown(one, commands.get(one.gate)) for one in standing]
        else:
            names = [*(plant.gate for plant in bad_work(gates)), *commands]
            shown = [_shown_then(name, commands.get(name)) for name in names]
        return api.TheaterGates(
            theater_id=theater_id,
            head=head,
            gates=shown,
            batch=gates.merge.batch,
            require_approval=gates.merge.require_approval,
        )

    async def prove(self, theater_id: str) -> api.TheaterGates:
        """Run every gate on the mainline and, where it passes, on its planted bad commit.

        A gate that does not pass on the mainline is not proven: a refusal there would say nothing.
        """
        mainline = await self._mainline(theater_id)
        await self.prove_due(mainline, everything=True)
        self._queue.retry_held(theater_id)
        return await self.show_gates(theater_id)

    async def prove_due(self, mainline: Mainline, *, everything: bool = False) -> None:
        """Prove the gates whose schedule has come, or all of them."""
        now = datetime.now(UTC)
        head = Tree(mainline.head, await mainline.repository.tree_of(mainline.head))
        wanted = {
            one.gate: one
            for one in await self._proofs.standing(mainline.theater_id, mainline.gates)
            if everything or self._proofs.is_due(one, now)
        }
        for gate in mainline.gates.gate:
            if gate.name in wanted:
                verdict = await self._runner.judge(mainline.repository, head, gate)
                if verdict.verdict != PASSED:
                    del wanted[gate.name]
        for proof in await self._proofs.prove(mainline, head.commit, wanted):
            if proof.state == "dead":
                await self._queue.halt(mainline.theater_id, proof.gate, halt_reason([proof]), proof.episode)

    async def prove_all_due(self, theater_id: str) -> None:
        """Prove what is due in a theater; called on a schedule."""
        try:
            mainline = await self._theaters.mainline(theater_id)
        except BadGates:
            return  # said, with the reason, as soon as an order waits for it
        await self.prove_due(mainline)

    async def output(self, digest: str) -> bytes:
        """Return what a gate's command printed. Raises `NotFound`."""
        content = await self._store.output(digest)
        if content is None:
            raise NotFound(f"no output {digest} is kept; it may be past its retention")
        return content

    async def figures(self) -> api.ReportFigures:
        """Return how often the reports of each profile claimed what was not so."""
        return api.ReportFigures(
            figures=[
                api.ReportFigure(
                    profile=one.profile,
                    model=one.model,
                    reports=one.reports,
                    wrong=one.wrong,
                    kinds=one.kinds,
                )
                for one in await self._store.figures()
            ]
        )

    async def decide(self, order_id: str, decision: api.Decision) -> api.Decided:
        """Record a person's decision about an order's result. Raises `Conflict` where none is asked for."""
        order = (await self._ledger.order(order_id)).order
        if order.commit_sha is None or order.phase not in QUEUED_PHASES:
            raise Conflict(
                f"order {order_id} is {order.phase}; only work that waits to be merged is decided on"
            )
        mainline = await self._mainline(order.theater_id)
        if not mainline.gates.merge.require_approval:
            raise Conflict(
                f"theater {order.theater_id} asks for no approval; merge.require_approval in"
                " .ironclaw/gates.toml on its mainline does"
            )
        await self._store.decide(
            order_id,
            order.attempt,
            order.commit_sha,
            approved=decision.approved,
            decided_by=decision.decided_by,
            note=decision.note,
        )
        kept = await self._store.approval(order_id, order.attempt, order.commit_sha)
        if kept is None or kept.approved is not decision.approved:
            said = "approved" if kept is not None and kept.approved else "refused"
            raise Conflict(f"order {order_id} was {said} before, by {kept.decided_by if kept else 'nobody'}")
        return api.Decided(
            order_id=order_id,
            attempt=order.attempt,
            commit_sha=order.commit_sha,
            approved=kept.approved,
            decided_by=kept.decided_by,
            note=kept.note,
            theater_id=order.theater_id,
        )

    async def _mainline(self, theater_id: str) -> Mainline:
        try:
            return await self._theaters.mainline(theater_id)
        except BadGates as error:
            raise Conflict(str(error)) from error


def _shown(one: Standing, command: CommandGate | None) -> api.GateStanding:
    proof = one.proof
    return api.GateStanding(
        gate=one.gate,
        kind=_kind(command),
        run=_run(command),
        state=proof.state if proof is not None else "unproven",
        detail=proof.detail if proof is not None else "its planted bad commit was not tried yet",
        output=proof.output if proof is not None else None,
        tried_at=proof.tried_at if proof is not None else None,
    )


def _shown_then(name: str, command: CommandGate | None) -> api.GateStanding:
    return api.GateStanding(
        gate=name,
        kind=_kind(command),
        run=_run(command),
        state="unknown",
        detail="how its proof stood then is not kept",
        output=None,
        tried_at=None,
    )


def _kind(command: CommandGate | None) -> str:
    return command.kind if command is not None else "built-in"


def _run(command: CommandGate | None) -> list[str]:
    return command.run if command is not None else []
