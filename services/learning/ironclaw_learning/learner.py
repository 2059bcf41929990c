"""Ticks and what operators do, one after another: catch up, decide, append, catch up."""

import asyncio
import hashlib

from ironclaw_contracts.endpoints import learning as api
from ironclaw_contracts.errors import EventConflict
from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import PolicyParameters, document_bytes
from ironclaw_learning.drafting import draft, figures
from ironclaw_learning.following import Following
from ironclaw_learning.gate import demotion, judge, propose
from ironclaw_learning.governance import Governance, configuration, promotion, withdrawal
from ironclaw_learning.intervals import rounded
from ironclaw_learning.learned import Learned


class Learner:
    """The learning service's work. `autopromote` puts what is ready in force without a person."""

    def __init__(
        self,
        following: Following,
        governance: Governance,
        parameters: PolicyParameters,
        *,
        autopromote: bool,
    ) -> None:
        self._following = following
        self._governance = governance
        self._parameters = parameters
        self._autopromote = autopromote
        self._lock = asyncio.Lock()

    async def tick(self) -> api.Tick:
        """Take in what is new and draw the conclusions; safe to repeat and to stop anywhere."""
        async with self._lock:
            learned, count = await self._following.caught_up()
            changes: list[str] = []
            try:
                for decide in (self._configure, _demote, propose, self._promote):
                    step = decide(learned)
                    if step is not None:
                        await self._governance.record(learned, step)
                        changes.append(f"{step.action} {step.version}")
                        learned, more = await self._following.caught_up()
                        count += more
            except EventConflict:
                # Another replica decided on the same state; its step is taken in at the next tick.
                changes.append("superseded")
            await self._governance.tell_runs(learned)
            return api.Tick(count, learned.seq, learned.in_force.version, changes)

    async def view(self, query: api.PolicyQuery) -> api.PolicyView:
        """Return everything about the policy, now or as of then."""
        if query.as_of is not None:
            return self._view(await self._following.rebuilt(await self._following.point(query.as_of)))
        async with self._lock:
            learned, _ = await self._following.caught_up()
            return self._view(learned)

    async def promote(self, request: api.Promotion) -> api.PolicyView:
        """Put the proposal in force. Raises `Conflict` when it does not wait or is blocked."""
        async with self._lock:
            learned, _ = await self._following.caught_up()
            return await self._take(learned, promotion(learned, request.version, request.by))

    async def roll_back(self, request: api.Rollback) -> api.PolicyView:
        """Put the version before back. Raises `Conflict` when there is none."""
        async with self._lock:
            learned, _ = await self._following.caught_up()
            return await self._take(learned, withdrawal(learned, request.by, request.reason))

    async def _take(self, learned: Learned, step: PolicyUpdated) -> api.PolicyView:
        """Take a step that a person asked for, and return what holds after it."""
        await self._governance.record(learned, step)
        learned, _ = await self._following.caught_up()
        await self._governance.tell_runs(learned)
        return self._view(learned)

    def _configure(self, learned: Learned) -> PolicyUpdated | None:
        return configuration(learned, self._parameters)

    def _promote(self, learned: Learned) -> PolicyUpdated | None:
        proposal = learned.proposal
        if not self._autopromote or learned.held or proposal is None or proposal.document is None:
            return None
        if judge(learned, proposal.document).readiness != "ready_for_promotion":
            return None
        return promotion(learned, proposal.version, "learning")

    def _view(self, learned: Learned) -> api.PolicyView:
        drafted = draft(learned)
        return api.PolicyView(
            as_of_seq=learned.seq,
            version=learned.in_force.version,
            parameters=learned.given,
            in_force=learned.in_force.document,
            live={
                name: api.Live(
                    rounded(task.live.n), rounded(task.live.reward / task.live.n) if task.live.n else None
                )
                for name, task in sorted(learned.tasks.items())
            },
            drafted=drafted,
            sha256=hashlib.sha256(document_bytes(drafted)).hexdigest(),
            proposal=_proposal(learned),
            figures={
                name: {profile: figures(cell) for profile, cell in sorted(task.cells.items())}
                for name, task in sorted(learned.tasks.items())
            },
            history=[entry.version for entry in learned.history],
            autopromote=self._autopromote,
        )


def _demote(learned: Learned) -> PolicyUpdated | None:
    reason = demotion(learned)
    return withdrawal(learned, "learning", reason, demoted=True) if reason is not None else None


def _proposal(learned: Learned) -> api.Proposal | None:
    proposal = learned.proposal
    if proposal is None or proposal.document is None:
        return None
    return api.Proposal(
        version=proposal.version,
        reason=proposal.reason,
        diff=proposal.diff,
        document=proposal.document,
        evaluation=judge(learned, proposal.document),
    )
