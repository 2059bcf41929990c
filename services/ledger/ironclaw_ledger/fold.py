"""Derive snapshots from events: `fold_order` and `folding.fold_run` take one and an event to the next.

Pure and total: they assume that the guards let the event pass. Replaying a ledger through them gives the
live snapshots again, byte for byte.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import Cause, OrderPhase, OrderStatus, RunStatus, WorktreeState
from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.payloads import OrderReissued
from ironclaw_contracts.snapshots import AttemptEnd, Escalation, OrderSnapshot, Report, RunSnapshot, Worktree
from ironclaw_contracts.transitions import ORDER_TRANSITIONS, STATUS_OF_PHASE

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def create_run(event: Event, payload: p.RunCreated) -> RunSnapshot:
    """Return the snapshot of a run that was just created."""
    return RunSnapshot(
        run_id=_known(event.run_id),
        theater_id=_known(event.theater_id),
        garrison_id=event.garrison_id,
        user_id=payload.user_id,
        objective=payload.objective,
        playbook=payload.playbook,
        inputs=payload.inputs,
        constraints=payload.constraints,
        budget=payload.budget,
        status=RunStatus.OPEN,
        plan=None,
        cancel_requested=None,
        reply=None,
        artifacts=[],
        reason=None,
        orders_total=0,
        orders_open=0,
        orders_integrated=0,
        created_at=event.ts,
        updated_at=event.ts,
        status_event_id=event.event_id,
        first_seq=event.seq,
        last_seq=event.seq,
        on_order_failure=payload.on_order_failure,
        charged_to=payload.charged_to,
        profile=payload.profile,
        replays=payload.replays,
        traceparent=event.traceparent,
    )


def count_orders(
    run: RunSnapshot, event: Event, *, total: int = 0, open_: int = 0, integrated: int = 0
) -> RunSnapshot:
    """Return the run after one of its orders was created or ended."""
    return replace(
        run,
        orders_total=run.orders_total + total,
        orders_open=run.orders_open + open_,
        orders_integrated=run.orders_integrated + integrated,
        updated_at=event.ts,
        last_seq=event.seq,
    )


def create_order(event: Event, payload: p.OrderCreated) -> OrderSnapshot:
    """Return the snapshot of an order that was just created."""
    return OrderSnapshot(
        order_id=_known(event.order_id),
        run_id=_known(event.run_id),
        theater_id=_known(event.theater_id),
        garrison_id=event.garrison_id,
        title=payload.title,
        order=payload.order,
        depends_on=payload.depends_on,
        replaces=payload.replaces,
        phase=OrderPhase.PLANNED,
        status=OrderStatus.QUEUED,
        attempt=1,
        unit_id=None,
        worktree=None,
        commit_sha=None,
        artifacts=[],
        report=None,
        merge_commit=None,
        hold=None,
        recovery=None,
        history=[],
        created_at=event.ts,
        updated_at=event.ts,
        phase_since=event.ts,
        phase_event_id=event.event_id,
        first_seq=event.seq,
        last_seq=event.seq,
        routing=payload.routing,
        traceparent=event.traceparent,
    )


def target_phase(event_type: E, payload: p.Payload) -> OrderPhase | None:
    """Return the phase that an event leads to; None when it leaves the phase as it is."""
    match payload:
        case p.OrderFailed(final=True):
            return OrderPhase.FAILED
        case p.IntegrationFailed(hold=True):
            return OrderPhase.HELD
        case _:
            return ORDER_TRANSITIONS[event_type].target


def fold_order(order: OrderSnapshot, event: Event, payload: p.Payload) -> OrderSnapshot:
    """Return the order after one more of its events."""
    changes: dict[str, Any] = {"updated_at": event.ts, "last_seq": event.seq}
    phase = target_phase(event.type, payload)
    if phase is not None:
        changes |= {
            "phase": phase,
            "status": STATUS_OF_PHASE[phase],
            "phase_since": event.ts,
            "phase_event_id": event.event_id,
        }
    return replace(order, **changes, **_details(order, event, payload))


def _details(order: OrderSnapshot, event: Event, payload: p.Payload) -> dict[str, Any]:
    match payload:
        case p.OrderClaimed():
            return {"unit_id": event.unit_id}
        case p.ArtifactWritten():
            kept = [a for a in order.artifacts if a.path != payload.artifact.path]
            return {"artifacts": [*kept, payload.artifact]}
        case p.AarWritten():
            return {"report": _report(payload)}
        case p.OrderCompleted():
            # A unit that was believed dead and reports after all is judged afresh.
            return {"commit_sha": payload.commit_sha, "recovery": None}
        case p.IntegrationStarted():
            return {"hold": None}
        case p.IntegrationPassed():
            return {"merge_commit": payload.merge_commit}
        case p.Integrated():
            return {"merge_commit": payload.commit_sha}
        case p.RecoveryRequired():
            return {"recovery": payload.reason}
        case p.OrderReissued():
            return _reissue(order, event, payload)
        case p.OrderAdopted():
            return _adopt(order, event, payload)
        case p.OrderFailed() | p.OrderBlocked() | p.OrderCancelled() | p.IntegrationFailed():
            return _ending(order, event, payload)
        case p.WorktreeCreated() | p.WorktreeReady() | p.WorktreeArchived() | p.WorktreeRemoved():
            return {"worktree": _worktree(order.worktree, payload)}
        case _:
            return {}


def _ending(
    order: OrderSnapshot,
    event: Event,
    payload: p.OrderFailed | p.OrderBlocked | p.OrderCancelled | p.IntegrationFailed,
) -> dict[str, Any]:
    if isinstance(payload, p.IntegrationFailed) and payload.hold:
        return {"hold": payload.reason}
    cause = payload.cause if isinstance(payload, p.OrderFailed) else Cause.TASK
    conflicts = [] if isinstance(payload, p.OrderFailed | p.OrderCancelled) else payload.conflicts
    return {"history": [*order.history, _end(order, event, payload.reason, cause, conflicts)]}


def _reissue(order: OrderSnapshot, event: Event, payload: p.OrderReissued) -> dict[str, Any]:
    recorded = any(end.attempt == order.attempt for end in order.history)
    history = (
        order.history if recorded else [*order.history, _end(order, event, payload.reason, payload.cause, [])]
    )
    return {
        "attempt": payload.attempt,
        "history": history,
        "unit_id": None,
        "worktree": None,
        "commit_sha": None,
        "artifacts": [],
        "report": None,
        "merge_commit": None,
        "hold": None,
        "recovery": None,
    }


def _adopt(order: OrderSnapshot, event: Event, payload: p.OrderAdopted) -> dict[str, Any]:
    """Return what changes when an earlier attempt's work becomes the result of a new attempt."""
    superseded = OrderReissued(attempt=payload.attempt, reason=payload.reason, cause=Cause.LOST_UNIT)
    return {
        **_reissue(order, event, superseded),
        "commit_sha": payload.commit_sha,
        "artifacts": payload.artifacts,
        "report": _report(payload.report),
        "worktree": Worktree(
            attempt=payload.adopts,
            state=WorktreeState.READY,
            path=payload.path,
            branch=payload.branch,
            base_commit=payload.base_commit,
            contains=[],
        ),
    }


def _end(order: OrderSnapshot, event: Event, reason: str, cause: Cause, conflicts: list[str]) -> AttemptEnd:
    return AttemptEnd(
        attempt=order.attempt,
        outcome=event.type,
        reason=reason,
        cause=cause,
        event_id=event.event_id,
        ts=event.ts,
        conflicts=conflicts,
    )


def _report(payload: p.AarWritten) -> Report:
    return Report(
        path=payload.path,
        sha256=payload.sha256,
        status=payload.status,
        summary=payload.summary,
        model=payload.model,
        next_recommendations=payload.next_recommendations,
    )


def _worktree(
    worktree: Worktree | None,
    payload: p.WorktreeCreated | p.WorktreeReady | p.WorktreeArchived | p.WorktreeRemoved,
) -> Worktree | None:
    """Return the worktree of the current attempt; events of superseded attempts leave it alone."""
    if isinstance(payload, p.WorktreeCreated):
        return Worktree(
            attempt=payload.attempt,
            state=WorktreeState.CREATED,
            path=payload.path,
            branch=payload.branch,
            base_commit=payload.base_commit,
            contains=payload.contains,
        )
    if worktree is None or worktree.attempt != payload.attempt:
        return worktree
    match payload:
        case p.WorktreeReady():
            return replace(worktree, state=WorktreeState.READY)
        case p.WorktreeArchived():
            return replace(worktree, state=WorktreeState.ARCHIVED, archive=payload.ref or payload.sha256)
        case p.WorktreeRemoved():
            return replace(worktree, state=WorktreeState.REMOVED)


def _known(value: str | None) -> str:
    if value is None:
        raise ValueError("the guards let an event pass that lacks an id")
    return value


def as_text(snapshot: RunSnapshot | OrderSnapshot | Escalation) -> str:
    """Return a snapshot as it is stored; equal snapshots give equal text."""
    return _encode_sorted(snapshot).decode()
