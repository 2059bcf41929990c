"""Late adoption: finished work of an attempt that was given up becomes the order's result (ADR 6)."""

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import AAR_FILE
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import integration
from ironclaw_contracts.endpoints.duty_officer import Intervention
from ironclaw_contracts.endpoints.observer import LateResult
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import AarWritten, OrderAdopted
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_patrol.metrics import INTERVENTIONS
from ironclaw_patrol.recovery import Recovery

log = structlog.get_logger()


class Adoption:
    """Adopts late results that pass the gates."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, recovery: Recovery) -> None:
        self._client = client
        self._ledger = ledger
        self._recovery = recovery
        self._refused: set[tuple[str, str]] = set()

    async def adopt(self, order: OrderSnapshot, results: list[LateResult]) -> Intervention | None:
        """Adopt the newest result that would be merged; None when there is none.

        What the present attempt has done so far is kept. Raises what the ledger answered, `IllegalTransition`
        when the present attempt has a valid result by now.
        """
        for result in sorted(results, key=lambda result: -result.attempt):
            if (order.order_id, result.commit_sha) in self._refused:
                continue
            trial = await self._client.call(
                integration.TRY_MERGE,
                integration.TrialRequest(
                    order_id=order.order_id,
                    attempt=result.attempt,
                    commit_sha=result.commit_sha,
                    artifacts=result.report.artifacts,
                ),
            )
            if not trial.passed:
                self._refused.add((order.order_id, result.commit_sha))
                log.info(
                    "late result not adopted",
                    order_id=order.order_id,
                    attempt=result.attempt,
                    reason=trial.reason,
                )
                continue
            if result.attempt != order.attempt:
                await self._recovery.keep_work(order)
            await self._ledger.append(order_event(EventType.ORDER_ADOPTED, _adopted(order, result), order))
            detail = f"attempt {result.attempt} had finished at {result.commit_sha[:12]}"
            log.info("adopted", order_id=order.order_id, attempt=order.attempt, reason=detail)
            INTERVENTIONS.labels("late_result", "adopted").inc()
            return Intervention(order.order_id, "late_result", "adopted", detail)
        return None


def _adopted(order: OrderSnapshot, result: LateResult) -> OrderAdopted:
    report = result.report
    return OrderAdopted(
        attempt=order.attempt + 1,
        adopts=result.attempt,
        commit_sha=result.commit_sha,
        reason=f"attempt {result.attempt} had finished without being heard; attempt {order.attempt} ends",
        path=result.path,
        branch=result.branch,
        base_commit=result.base_commit,
        artifacts=report.artifacts,
        report=AarWritten(
            attempt=result.attempt,
            path=AAR_FILE,
            sha256=result.aar_sha256,
            status=report.status,
            summary=report.summary,
            model=report.model,
            next_recommendations=report.next_recommendations,
        ),
    )
