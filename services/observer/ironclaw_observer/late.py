"""Find finished work on the branches of attempts that were given up (ADR 6)."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

import ironclaw_git
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import AAR_FILE, Aar
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.endpoints.observer import Inspection, LateResult
from ironclaw_contracts.enums import Cause, WorktreeState
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import WorktreeCreated
from ironclaw_contracts.snapshots import OrderSnapshot, Worktree
from ironclaw_git import Repository
from ironclaw_observer.evidence import gather_facts
from ironclaw_observer.patrol import IN_HAND, Standing
from ironclaw_observer.validation import verdict

log = structlog.get_logger()


def lost_attempts(order: OrderSnapshot) -> set[int]:
    """Return the earlier attempts whose unit was believed dead, and may not have been."""
    return {end.attempt for end in order.history if end.cause is Cause.LOST_UNIT} - {order.attempt}


class LateResults:
    """Looks at the branches of an order's attempts."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient) -> None:
        self._client = client
        self._ledger = ledger

    async def inspect(self, order_id: str) -> Inspection:
        """Return the signs of life of the present attempt, and the finished work of every lost one.

        The present attempt counts as lost as long as it is in hand: the caller saw its lease run out.
        """
        order = (await self._ledger.order(order_id)).order
        standing = await look_at(order)
        attempts = lost_attempts(order) | ({order.attempt} if order.phase in IN_HAND else set())
        return Inspection(
            order_id=order_id,
            attempt=order.attempt,
            moved_at=standing.moved_at if standing is not None else None,
            late_results=await self.of(order, sorted(attempts)),
        )

    async def of(self, order: OrderSnapshot, attempts: Sequence[int]) -> list[LateResult]:
        """Return the finished work of these attempts that passes every check of a completed order."""
        if not attempts:
            return []
        created = self._ledger.events([EventType.WORKTREE_CREATED], order_id=order.order_id)
        made = [msgspec.convert(event.payload, WorktreeCreated) async for event in created]
        theater = await self._client.call(vault.GET_THEATER, theater_id=order.theater_id)
        repository = await Repository.open(theater.repo_path, theater.mainline)
        found = [await self._finished(repository, order, w) for w in made if w.attempt in attempts]
        return [result for result in found if result is not None]

    async def _finished(
        self, repository: Repository, order: OrderSnapshot, made: WorktreeCreated
    ) -> LateResult | None:
        try:
            head = await repository.resolve(made.branch)
            if head == made.base_commit:
                return None
            raw = await repository.read_file(head, AAR_FILE)
            report = msgspec.json.decode(raw, type=Aar)
            attempt = _as_completed(order, made, head, report)
            judged = verdict(attempt, await gather_facts(attempt))
        except (ironclaw_git.GitError, msgspec.DecodeError, OSError) as error:
            log.info("no late result", order_id=order.order_id, attempt=made.attempt, reason=str(error))
            return None
        if not judged.valid:
            log.info(
                "late work is not a result",
                order_id=order.order_id,
                attempt=made.attempt,
                reason="; ".join(judged.reasons),
            )
            return None
        return LateResult(
            attempt=made.attempt,
            commit_sha=head,
            path=made.path,
            branch=made.branch,
            base_commit=made.base_commit,
            aar_sha256=hashlib.sha256(raw).hexdigest(),
            report=report,
        )


def _as_completed(order: OrderSnapshot, made: WorktreeCreated, head: str, report: Aar) -> OrderSnapshot:
    """Return the order as it would stand had that attempt been heard."""
    worktree = Worktree(
        attempt=made.attempt,
        state=WorktreeState.READY,
        path=made.path,
        branch=made.branch,
        base_commit=made.base_commit,
        contains=made.contains,
    )
    return replace(
        order,
        attempt=made.attempt,
        worktree=worktree,
        commit_sha=head,
        artifacts=report.artifacts,
        report=None,
    )


async def look_at(order: OrderSnapshot) -> Standing | None:
    """Return how the order's worktree stands; None when it has none."""
    if order.worktree is None:
        return None
    path = Path(order.worktree.path)
    if not await asyncio.to_thread(path.is_dir):
        return Standing(exists=False, moved_at=None, committed_at=None)
    moved_at: datetime | None = None
    committed_at: datetime | None = None
    try:
        standing = await ironclaw_git.status(path)
        moved_at, committed_at = standing.last_change_at, standing.last_commit_at
    except (ironclaw_git.GitError, OSError) as error:
        log.info("worktree cannot be read", order_id=order.order_id, reason=str(error))
    return Standing(exists=True, moved_at=moved_at, committed_at=committed_at)
