"""The event types that no order's happy path has: blocked, refused, recovered, escalated, degraded."""

from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service, Severity, WorktreeState
from ironclaw_contracts.events import EventType as E
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import SHA, Scribe


async def completed(ledger: Ledger) -> Scribe:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    await scribe.complete()
    return scribe


async def test_given_an_invalid_result_when_recovered_then_the_order_begins_again_and_remembers_why(
    ledger: Ledger,
) -> None:
    scribe = await completed(ledger)
    required = p.RecoveryRequired(reason="the artifact is missing", evidence={"path": "outputs/a.md"})
    await scribe.of_order(Service.OBSERVER, E.RECOVERY_REQUIRED, required)
    assert (await scribe.order()).recovery == "the artifact is missing"
    await scribe.of_order(Service.DUTY_OFFICER, E.RECOVERY_STARTED, p.RecoveryStarted(reason="invalid"))
    reissued = p.OrderReissued(attempt=2, reason="the artifact is missing")
    await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, reissued)
    await scribe.of_order(Service.DUTY_OFFICER, E.RECOVERY_COMPLETED, p.RecoveryCompleted(outcome="reissued"))
    order = await scribe.order()
    assert (order.phase, order.attempt, order.recovery) == (OrderPhase.PLANNED, 2, None)
    assert order.artifacts == [] and order.history[0].reason == "the artifact is missing"


async def test_given_a_conflict_twice_when_told_then_rejected_then_blocked_with_the_files(
    ledger: Ledger,
) -> None:
    scribe = await completed(ledger)
    ready = p.IntegrationReady(commit_sha=SHA)
    await scribe.of_order(Service.OBSERVER, E.INTEGRATION_READY, ready)
    started = p.IntegrationStarted(commit_sha=SHA)
    await scribe.of_order(Service.INTEGRATION, E.INTEGRATION_STARTED, started)
    refusal = p.IntegrationFailed(reason="conflict", conflicts=["a.md"])
    await scribe.of_order(Service.INTEGRATION, E.INTEGRATION_FAILED, refusal)
    assert (await scribe.order()).phase is OrderPhase.REJECTED
    blocked = p.OrderBlocked(reason="conflict", conflicts=["a.md"])
    await scribe.of_order(Service.INTEGRATION, E.ORDER_BLOCKED, blocked)
    order = await scribe.order()
    assert order.phase is OrderPhase.BLOCKED and [end.conflicts for end in order.history] == [["a.md"]] * 2


async def test_given_a_hold_when_told_then_the_order_waits_with_its_reason_and_goes_on(
    ledger: Ledger,
) -> None:
    scribe = await completed(ledger)
    await scribe.of_order(Service.OBSERVER, E.INTEGRATION_READY, p.IntegrationReady(commit_sha=SHA))
    started = p.IntegrationStarted(commit_sha=SHA)
    await scribe.of_order(Service.INTEGRATION, E.INTEGRATION_STARTED, started)
    held = p.IntegrationFailed(reason="dirty checkout", hold=True)
    await scribe.of_order(Service.INTEGRATION, E.INTEGRATION_FAILED, held)
    assert ((await scribe.order()).phase, (await scribe.order()).hold) == (OrderPhase.HELD, "dirty checkout")
    await scribe.of_order(Service.INTEGRATION, E.INTEGRATION_STARTED, started)
    assert (await scribe.order()).hold is None


async def test_given_worktree_events_of_an_earlier_attempt_when_told_then_the_current_one_is_untouched(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    await scribe.claim()
    failed = p.OrderFailed(reason="x")
    await scribe.of_order(Service.WORKER, E.ORDER_FAILED, failed, scribe.unit)
    reissued = p.OrderReissued(attempt=2, reason="x")
    await scribe.of_order(Service.DUTY_OFFICER, E.ORDER_REISSUED, reissued)
    await scribe.dispatch(attempt=2)
    kept = p.WorktreeArchived(attempt=1, ref="refs/ironclaw/salvage/order-1/1", head=SHA)
    await scribe.of_order(Service.VAULT, E.WORKTREE_ARCHIVED, kept)
    await scribe.of_order(Service.VAULT, E.WORKTREE_REMOVED, p.WorktreeRemoved(attempt=1, path="/w"))
    worktree = (await scribe.order()).worktree
    assert worktree is not None and (worktree.attempt, worktree.state) == (2, WorktreeState.READY)


async def test_given_a_run_that_fails_when_told_then_its_reason_stands(ledger: Ledger) -> None:
    scribe = Scribe(ledger)
    await scribe.of_run(E.RUN_CREATED, p.RunCreated(user_id="u", objective="x"))
    await scribe.of_run(E.RUN_FAILED, p.RunEnded(reason="cannot plan"))
    run = (await ledger.reader.run(scribe.run_id, None)).run
    assert (run.status, run.reason) == (RunStatus.FAILED, "cannot plan")


async def test_given_events_of_the_fleet_as_a_whole_when_told_then_they_stand_in_the_ledger(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    raised = p.EscalationRaised(severity=Severity.HIGH, reason="the vault is full", evidence={"free": 0})
    escalation = await scribe.write(Service.OBSERVER, E.ESCALATION_RAISED, raised, theater_id="t")
    acked = p.EscalationAcked(escalation_id=escalation.event_id, acked_by="ann", note="on it")
    await scribe.write(Service.CO, E.ESCALATION_ACKED, acked)
    health = p.ServiceHealth(service="vault", reason="disk full")
    await scribe.write(Service.DUTY_OFFICER, E.SERVICE_DEGRADED, health)
    await scribe.write(Service.OBSERVER, E.SERVICE_RECOVERED, health)
    events = (await ledger.reader.events(EventsQuery(theater_id="t"))).events
    assert [event.type for event in events] == [E.ESCALATION_RAISED]
    assert (await ledger.reader.events(EventsQuery(type=E.SERVICE_RECOVERED))).events[0].source == "observer"
