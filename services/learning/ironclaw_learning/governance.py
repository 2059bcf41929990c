"""Steps in the life of the policy, each an event of the ledger, decided on what is remembered."""

import structlog
from msgspec.structs import replace

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.derived import run_event
from ironclaw_contracts.endpoints import ledger as ledger_api
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import Conflict, IllegalTransition
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import PolicyUpdated, RunUpdated
from ironclaw_contracts.policy import Evaluation, PolicyParameters
from ironclaw_learning.gate import differences, judge
from ironclaw_learning.learned import InForce, Learned

log = structlog.get_logger()


def configuration(learned: Learned, parameters: PolicyParameters) -> PolicyUpdated | None:
    """Return the event that records the parameters, unless the ledger has them."""
    if learned.parameters == parameters:
        return None
    return PolicyUpdated(
        action="configured",
        version=learned.in_force.version,
        by="learning",
        reason="the settings say so",
        parameters=parameters,
    )


def promotion(learned: Learned, version: int, by: str) -> PolicyUpdated:
    """Return the event that puts the proposal in force, judged on the figures as they are now.

    Raises `Conflict` when another version waits, or none, or when the gate blocks it.
    """
    proposal = learned.proposal
    if proposal is None or proposal.document is None:
        raise Conflict("no proposal waits; see: ironclaw policy show")
    if proposal.version != version:
        raise Conflict(f"version {version} does not wait any more, version {proposal.version} does")
    evaluation = judge(learned, proposal.document)
    if evaluation.readiness == "blocked":
        raise Conflict(f"version {version} is blocked: {failing(evaluation)}")
    return replace(
        proposal,
        action="promoted",
        replaces=learned.in_force.version,
        by=by,
        reason=f"{proposal.reason}; {evaluation.readiness}"[:2_000],
        evaluation=evaluation,
        diff=differences(learned.in_force, proposal.document),
    )


def withdrawal(learned: Learned, by: str, reason: str, *, demoted: bool = False) -> PolicyUpdated:
    """Return the event that puts the version before back. Raises `Conflict` when there is none."""
    if len(learned.history) < 2:
        raise Conflict("no version was in force before this one")
    before, now = learned.history[-2], learned.in_force
    return PolicyUpdated(
        action="demoted" if demoted else "rolled_back",
        version=before.version,
        replaces=now.version,
        by=by,
        reason=reason,
        document=before.document,
        evaluation=before.evaluation,
        diff=_back(now, before),
    )


def failing(evaluation: Evaluation) -> str:
    """Return what the gate objects to."""
    return "; ".join(f"{check.name}: {check.detail}" for check in evaluation.checks if not check.passed)


def _back(now: InForce, before: InForce) -> list[str]:
    """Return what changes when an earlier version is put back."""
    if before.document is not None:
        return differences(now, before.document)
    return [f"everything goes to the default profile again, as before version {now.version}"]


class Governance:
    """Appends the steps. An id is made of the event that a decision rests on, so none is taken twice."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, garrison_id: str) -> None:
        self._client = client
        self._ledger = ledger
        self._garrison_id = garrison_id

    async def record(self, learned: Learned, step: PolicyUpdated) -> None:
        """Append a step. Raises `EventConflict` when another process took one from the same state."""
        await self._ledger.append(
            new_event(
                EventType.POLICY_UPDATED,
                step,
                garrison_id=self._garrison_id,
                event_id=derived_event_id("policy", step.action, learned.seq),
            )
        )
        log.info("policy", action=step.action, version=step.version, by=step.by, reason=step.reason)

    async def tell_runs(self, learned: Learned) -> None:
        """Tell every open run that was planned under another version by which its further orders are routed.

        Whom a crash kept from being told is told the next time. Plans say their version themselves.
        """
        if not learned.changes:
            return
        cursor = None
        version = learned.in_force.version
        told = RunUpdated(policy_version=version, note=f"policy version {version} is in force")
        while True:
            query = ledger_api.RunsQuery(status=RunStatus.OPEN, cursor=cursor, limit=500)
            page = await self._client.call(ledger_api.LIST_RUNS, query=query)
            for run in page.runs:
                if run.plan is None or run.policy_version == version:
                    continue
                try:
                    await self._ledger.append(
                        run_event(EventType.RUN_UPDATED, told, run, "policy", version, run.last_seq)
                    )
                except IllegalTransition:
                    log.info("ended meanwhile", run_id=run.run_id)
            cursor = page.next_cursor
            if cursor is None:
                return
