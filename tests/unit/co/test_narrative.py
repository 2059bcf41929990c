"""The fleet's own milestones and demand."""

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from ironclaw_co.outbox.narrative import TOLD, idempotency_key, milestone_of
from ironclaw_co.outbox.queue_figures import is_due, summary
from ironclaw_contracts.demand import read_snapshot
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.milestones import read_milestone
from tests.unit.ledger.history import START, History


@pytest.mark.parametrize("kind", TOLD)
def test_given_an_event_that_is_told_when_made_a_milestone_then_our_own_receiver_takes_it(
    kind: EventType,
) -> None:
    event = Event(
        seq=7,
        event_id="e-7",
        ts=START,
        type=kind,
        garrison_id="local",
        theater_id=None,
        run_id="run",
        order_id="order",
        unit_id=None,
        source="co",
        payload={"reason": "it is so", "commit_sha": "a" * 40, "severity": "HIGH"},
        prev_hash="0" * 64,
        hash="0" * 64,
    )
    milestone = milestone_of(event)
    envelope = {"idempotencyKey": idempotency_key(event), "event": msgspec.to_builtins(milestone)}
    assert read_milestone(envelope) == milestone
    assert milestone.evidence[0].path == "ledger/events/7" and milestone.source == "orchestrator"


def test_given_open_orders_when_summed_up_then_the_contracts_counts_are_ours() -> None:
    made = History()
    made.run()
    phases = [
        OrderPhase.PLANNED,
        OrderPhase.ENQUEUED,
        OrderPhase.CLAIMED,
        OrderPhase.RUNNING,
        OrderPhase.HELD,
    ]
    orders = [replace(made.create(f"o{n}"), phase=phase) for n, phase in enumerate(phases)]
    made_of = summary(orders, START, "local")
    assert (made_of.queue_total, made_of.draft_total, made_of.selected_for_draft_total) == (2, 1, 1)
    assert made_of.tag_counts.manual_review == 1
    assert {s.id: s.state for s in made_of.segments} == {"draft": "hot", "summarize": "idle"}
    assert read_snapshot({"snapshot": msgspec.to_builtins(made_of)}) == made_of


def test_given_summaries_when_due_then_every_minute_or_when_the_queue_changed_by_more_than_a_tenth() -> None:
    base = summary([], START, "local")
    last = replace(base, queue_total=100)
    soon = START + timedelta(seconds=5)
    assert not is_due(last, replace(base, queue_total=110), soon)
    assert is_due(last, replace(base, queue_total=111), soon)
    assert is_due(last, replace(base, queue_total=89), soon)
    assert is_due(last, last, START + timedelta(seconds=60))
    assert is_due(None, base, START)
