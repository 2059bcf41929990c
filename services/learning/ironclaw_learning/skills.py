"""Appleseed's review queue for operators who are not at this machine: judged, promoted, rolled back."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from appleseed_evolution.evolution.evolving import OPERATOR_REVIEW, evolve, review, workflow_state
from appleseed_evolution.evolution.promoting import promote, rollback
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.state.skillchanges import applied_change
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.endpoints.learning_skills import SkillDecision, SkillProposal, SkillReview
from ironclaw_contracts.errors import Conflict, Unavailable

log = structlog.get_logger()

_FIRST = "Have the proposals made and judged; sessions that Appleseed was told of are the evidence."


class Skills:
    """Runs Appleseed's own commands over its workspace; its files stay the only record."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def queue(self) -> SkillReview:
        """Return the queue as it was last judged. Raises `Unavailable` when its files cannot be read."""
        return await self._off_the_loop(lambda _: None)

    async def judge(self) -> SkillReview:
        """Propose and judge anew. Raises what Appleseed's `evolve` and `review` raise."""

        def act(now: datetime) -> None:
            evolve(self._workspace, now=now)
            review(self._workspace, None, now=now)

        return await self._off_the_loop(act)

    async def promote(self, decision: SkillDecision) -> SkillReview:
        """Apply one proposal. Raises `Conflict` when it is not ready, or the evidence says otherwise now."""

        def act(now: datetime) -> None:
            done = promote(self._workspace, None, [decision.proposal_id], dry_run=False, now=now)
            if not done["summary"]["applied_proposals"]:
                skipped = "; ".join(str(row["skip_reason"]) for row in done["skipped_proposals"])
                raise Conflict(f"{decision.proposal_id} was not promoted: {skipped or 'it is not ready'}")

        found = await self._off_the_loop(act)
        log.info("skill promoted", proposal_id=decision.proposal_id, by=decision.by)
        return found

    async def roll_back(self, decision: SkillDecision) -> SkillReview:
        """Take one promotion back. Raises `NotFound`, or `Conflict` when the file was changed since."""

        def act(now: datetime) -> None:
            rollback(self._workspace, decision.proposal_id, now=now)

        found = await self._off_the_loop(act)
        log.info("skill rolled back", proposal_id=decision.proposal_id, by=decision.by)
        return found

    async def _off_the_loop(self, act: Callable[[datetime], None]) -> SkillReview:
        def whole() -> SkillReview:
            act(datetime.now(UTC))
            return self._read()

        try:
            return await asyncio.to_thread(whole)
        except OSError as error:
            raise Unavailable(f"Appleseed's files: {error.strerror or error}") from error

    def _read(self) -> SkillReview:
        state = self._workspace.state
        path = state.reports / OPERATOR_REVIEW
        document: JsonObject = msgspec.json.decode(path.read_bytes()) if path.exists() else {"proposals": []}
        workflow = workflow_state(self._workspace)
        return SkillReview(
            config=str(self._workspace.config.path),
            stage=workflow.stage if workflow else None,
            updated_at=workflow.updated_at if workflow else None,
            next_action=workflow.next_action if workflow else _FIRST,
            proposals=[self._proposal(row) for row in document["proposals"]],
        )

    def _proposal(self, row: JsonObject) -> SkillProposal:
        change = row["change_preview"]
        return SkillProposal(
            proposal_id=row["proposal_id"],
            proposal_type=row["proposal_type"],
            title=row["title"],
            rationale=row["rationale"],
            readiness=row["readiness"],
            risk_level=row["risk_level"],
            evidence_count=row["evidence_count"],
            confidence=row["confidence"],
            labels=row["review_labels"],
            reasons=row["reasons"],
            blockers=row["promotion_blockers"],
            operation=change["operation_summary"],
            diff=change["diff"],
            promoted=applied_change(self._workspace.state, row["proposal_id"]) is not None,
        )
