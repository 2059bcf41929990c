"""No limbo: whatever state an order reaches, it has one blocker, an owner, a next action and a deadline."""

from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Artifact, Order
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service, WorktreeState
from ironclaw_contracts.events import Event, new_event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.plan import Extraction, Plan
from ironclaw_contracts.snapshots import Lease, OrderSnapshot, RunSnapshot, RunView
from ironclaw_contracts.transitions import ORDER_TRANSITIONS, TERMINAL_PHASES
from ironclaw_ledger import fold
from ironclaw_ledger.why import why_order, why_run

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
SHA = "a" * 40


def event(kind: E, payload: p.Payload, seq: int = 1, unit_id: str | None = None) -> Event:
    sent = new_event(kind, payload, run_id="run", order_id="order", theater_id="t", unit_id=unit_id)
    return Event(
        seq=seq,
        event_id=f"event-{seq}",
        ts=NOW,
        type=kind,
        garrison_id="local",
        theater_id="t",
        run_id="run",
        order_id="order",
        unit_id=unit_id,
        source="test",
        payload=sent.payload,
        prev_hash="",
        hash="",
    )


def payloads(kind: E, attempt: int) -> list[p.Payload]:
    """Every variant of a payload that leads somewhere else."""
    common = {"attempt": attempt}
    variants: dict[E, list[p.Payload]] = {
        E.ORDER_ENQUEUED: [p.OrderEnqueued(base_commit=SHA, **common)],
        E.ORDER_CLAIMED: [p.OrderClaimed(**common)],
        E.ORDER_STARTED: [p.OrderStarted(**common)],
        E.ARTIFACT_WRITTEN: [p.ArtifactWritten(artifact=Artifact(path="outputs/a"), **common)],
        E.AAR_WRITTEN: [
            p.AarWritten(path="aar.json", sha256="0" * 64, status="completed", summary="", **common)
        ],
        E.ORDER_COMPLETED: [p.OrderCompleted(commit_sha=SHA, **common)],
        E.ORDER_FAILED: [
            p.OrderFailed(reason="x", **common),
            p.OrderFailed(reason="x", final=True, **common),
        ],
        E.ORDER_BLOCKED: [p.OrderBlocked(reason="x", **common)],
        E.ORDER_REISSUED: [p.OrderReissued(attempt=attempt + 1, reason="x")],
        E.ORDER_CANCELLED: [p.OrderCancelled(reason="x", **common)],
        E.WORKTREE_CREATED: [p.WorktreeCreated(path="/w", branch="b", base_commit=SHA, **common)],
        E.WORKTREE_READY: [p.WorktreeReady(path="/w", **common)],
        E.WORKTREE_ARCHIVED: [p.WorktreeArchived(**common)],
        E.WORKTREE_REMOVED: [p.WorktreeRemoved(path="/w", **common)],
        E.INTEGRATION_READY: [p.IntegrationReady(commit_sha=SHA, **common)],
        E.INTEGRATION_STARTED: [p.IntegrationStarted(commit_sha=SHA, **common)],
        E.INTEGRATION_PASSED: [p.IntegrationPassed(merge_commit=SHA, onto=SHA, gates=[], **common)],
        E.INTEGRATION_FAILED: [
            p.IntegrationFailed(reason="x", **common),
            p.IntegrationFailed(reason="x", hold=True, **common),
        ],
        E.INTEGRATED: [p.Integrated(commit_sha=SHA, mainline="main", **common)],
        E.ORDER_ADOPTED: [
            p.OrderAdopted(
                attempt=attempt + 1,
                adopts=attempt,
                commit_sha=SHA,
                reason="x",
                path="/w",
                branch="b",
                base_commit=SHA,
                report=p.AarWritten(
                    path="aar.json", sha256="0" * 64, status="completed", summary="s", **common
                ),
            )
        ],
        E.RECOVERY_REQUIRED: [p.RecoveryRequired(reason="x", **common)],
        E.RECOVERY_STARTED: [p.RecoveryStarted(reason="x", **common)],
        E.RECOVERY_COMPLETED: [p.RecoveryCompleted(outcome="x", **common)],
    }
    return variants[kind]


def new_order(order_id: str = "order", depends_on: list[str] | None = None) -> OrderSnapshot:
    order = Order(order_id=order_id, run_id="run", theater_id="t", type="draft", objective="x")
    created = p.OrderCreated(order=order, title="t", depends_on=depends_on or [])
    snapshot = fold.create_order(event(E.ORDER_CREATED, created), created)
    return fold.replace(snapshot, order_id=order_id)


def reachable() -> dict[tuple[OrderPhase, WorktreeState | None, bool], OrderSnapshot]:
    """Walk the transition table from a new order and return one example of every reachable state."""
    start = new_order()
    found = {(start.phase, None, False): start}
    queue = deque([start])
    while queue:
        order = queue.popleft()
        if order.attempt > 3:
            continue
        for kind, row in ORDER_TRANSITIONS.items():
            if order.phase not in row.sources:
                continue
            if kind is E.WORKTREE_READY and order.worktree is None:
                continue
            for payload in payloads(kind, order.attempt):
                after = fold.fold_order(order, event(kind, payload, order.last_seq + 1, "unit"), payload)
                state = after.worktree.state if after.worktree else None
                key = (after.phase, state, after.recovery is not None)
                if key not in found:
                    found[key] = after
                    queue.append(after)
    return found


def test_given_the_transition_table_when_walked_then_every_phase_is_reachable() -> None:
    assert {phase for phase, _, _ in reachable()} == set(OrderPhase)


def leased(order: OrderSnapshot) -> dict[str, Lease]:
    return {order.order_id: Lease(order.order_id, order.attempt, "unit", NOW + timedelta(seconds=10))}


@pytest.mark.parametrize("held", [True, False], ids=["leased", "no lease"])
def test_given_every_reachable_state_when_asked_why_then_one_blocker_owner_action_and_deadline(
    held: bool,
) -> None:
    for key, order in reachable().items():
        answer = why_order(order, {"order": order}, leased(order) if held else {}, NOW)
        if order.phase in TERMINAL_PHASES:
            assert answer.terminal and answer.chain == [], key
            continue
        assert not answer.terminal and len(answer.chain) == 1, key
        link = answer.chain[-1]
        assert answer.blocker == link.blocker and link.next_action and link.event_id, key
        assert isinstance(answer.owner, Service), key
        assert answer.deadline is not None and answer.deadline >= NOW, key


def test_given_every_reachable_state_of_a_dependency_when_asked_why_then_the_waiting_order_says_who_moves() -> (
    None
):
    for key, order in reachable().items():
        waiting = new_order("waiting", ["order"])
        answer = why_order(waiting, {"order": order, "waiting": waiting}, leased(order), NOW)
        if order.phase is OrderPhase.INTEGRATED:
            assert answer.blocker == "awaiting_worktree", key
        elif order.phase in TERMINAL_PHASES:
            assert answer.blocker == "dependency_lost", key
        else:
            own = why_order(order, {"order": order}, leased(order), NOW)
            assert [link.subject for link in answer.chain] == ["waiting", "order"], key
            assert (answer.blocker, answer.owner, answer.deadline) == (own.blocker, own.owner, own.deadline)
            assert answer.chain[0].deadline == own.deadline, key


def test_given_every_reachable_state_when_its_run_is_asked_why_then_one_link_chain_leads_to_the_mover() -> (
    None
):
    plan = Plan(1, "x", [], [], Extraction([], "x"), "draft", "playbook")
    for key, order in reachable().items():
        for cancelling in (None, "stop it"):
            view = RunView(run_snapshot(plan=plan, cancel_requested=cancelling), [order])
            answer = why_run(view, leased(order), NOW)
            assert not answer.terminal and answer.chain[0].subject == "run", key
            assert answer.owner is not None and answer.deadline is not None, key
            stoppable = order.phase not in TERMINAL_PHASES | {OrderPhase.GATED}
            assert (answer.blocker == "cancelling") is (cancelling is not None and stoppable), key


def test_given_a_dependency_in_hand_when_asked_why_then_the_deadline_is_the_end_of_its_lease() -> None:
    working = fold.replace(new_order("a"), phase=OrderPhase.RUNNING)
    waiting = new_order("b", ["a"])
    answer = why_order(waiting, {"a": working, "b": waiting}, leased(working), NOW)
    assert answer.deadline == NOW + timedelta(seconds=10) and answer.owner is Service.WORKER


def test_given_2000_orders_in_a_row_when_the_last_is_asked_why_then_the_chain_reaches_the_first() -> None:
    orders = {f"o{n}": new_order(f"o{n}", [f"o{n - 1}"] if n else []) for n in range(2_000)}
    answer = why_order(orders["o1999"], orders, {}, NOW)
    assert len(answer.chain) == 2_000 and answer.chain[-1].subject == "o0"


def test_given_a_chain_of_dependencies_when_asked_why_then_it_leads_to_the_one_that_moves() -> None:
    first, second = new_order("a"), new_order("b", ["a"])
    third = new_order("c", ["b"])
    answer = why_order(third, {o.order_id: o for o in (first, second, third)}, {}, NOW)
    assert [link.subject for link in answer.chain] == ["c", "b", "a"]
    assert (answer.blocker, answer.owner) == ("awaiting_worktree", Service.CO)


def test_given_a_dependency_that_failed_when_asked_why_then_co_cancels() -> None:
    failed = fold.replace(new_order("a"), phase=OrderPhase.FAILED)
    answer = why_order(new_order("b", ["a"]), {"a": failed}, {}, NOW)
    assert (answer.blocker, answer.owner) == ("dependency_lost", Service.CO)


def run_snapshot(**changes: object) -> RunSnapshot:
    created = p.RunCreated(user_id="u", objective="x")
    return fold.replace(fold.create_run(event(E.RUN_CREATED, created), created), **changes)


def test_given_a_run_in_every_stage_when_asked_why_then_somebody_moves_it() -> None:
    plan = Plan(1, "x", [], [], Extraction([], "x"), "draft", "playbook")
    open_order, ended = new_order(), fold.replace(new_order(), phase=OrderPhase.INTEGRATED)
    stages = {
        "awaiting_plan": RunView(run_snapshot(), []),
        "awaiting_synthesis": RunView(run_snapshot(plan=plan), [ended]),
        "awaiting_worktree": RunView(run_snapshot(plan=plan), [ended, open_order]),
    }
    for blocker, view in stages.items():
        answer = why_run(view, {}, NOW)
        assert answer.blocker == blocker and answer.owner is Service.CO and answer.deadline is not None
    done = RunView(run_snapshot(status=RunStatus.COMPLETE), [ended])
    assert why_run(done, {}, NOW).terminal
