"""The append decision: all or nothing a request, idempotent by event id, linear chain, leases, time."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.chain import GENESIS_HASH, link
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import BadRequest, EventConflict, NotFound
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent, new_event
from ironclaw_ledger.append import Request, State, parse
from ironclaw_ledger.replay import Replay
from tests.unit.ledger.history import MERGE, SHA, START, History


def tick(event_id: str | None = None, value: int = 0, ts: datetime | None = None) -> NewEvent:
    return NewEvent(type=E.PATROL_TICK, payload={"figures": {"value": value}}, event_id=event_id, ts=ts)


@pytest.fixture
def history() -> History:
    return History()


def test_given_one_event_twice_in_a_batch_when_appended_then_the_second_is_the_first(
    history: History,
) -> None:
    first, second = history.send(Service.DUTY_OFFICER, tick("same"), tick("same"))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert (first.seq, first.hash) == (second.seq, second.hash) and len(history.state.rows) == 1


def test_given_one_id_with_two_bodies_in_a_batch_when_appended_then_none_of_it_stands(
    history: History,
) -> None:
    with pytest.raises(EventConflict):
        history.send(Service.DUTY_OFFICER, tick("same", 1), tick("same", 2))
    assert history.state.rows == [] and history.state.known == {}


def test_given_a_retry_with_another_time_when_appended_then_it_is_the_same_event(history: History) -> None:
    history.send(Service.DUTY_OFFICER, tick("same"))
    again = history.send(Service.DUTY_OFFICER, tick("same", ts=START - timedelta(hours=1)))[0]
    assert again.duplicate and again.ts == START


def test_given_the_same_body_of_another_service_when_appended_then_it_conflicts(history: History) -> None:
    raised = p.ServiceHealth(service="vault", reason="x")
    event = new_event(E.SERVICE_DEGRADED, raised, event_id="same")
    history.send(Service.OBSERVER, event)
    with pytest.raises(EventConflict):
        history.send(Service.DUTY_OFFICER, event)


def test_given_a_bad_event_in_a_request_when_refused_then_nothing_of_it_is_seen_by_its_neighbours(
    history: History,
) -> None:
    history.run()
    before = (history.state.seq, history.state.head, dict(history.state.runs))
    note = new_event(E.RUN_UPDATED, p.RunUpdated(note="x"), run_id="run", event_id="note")
    lost = new_event(E.RUN_UPDATED, p.RunUpdated(note="x"), run_id="nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        history.send(Service.CO, note, lost)
    assert (history.state.seq, history.state.head, dict(history.state.runs)) == before
    assert not history.send(Service.CO, note)[0].duplicate


def test_given_rows_when_linked_by_hand_then_the_chain_is_that_of_the_bytes(history: History) -> None:
    history.completed()
    head = GENESIS_HASH
    for number, row in enumerate(history.state.rows, start=1):
        assert (row.event.seq, row.event.prev_hash) == (number, head)
        head = link(head, row.body)
        assert row.event.hash == head
        assert msgspec.json.encode(msgspec.json.decode(row.body), order="sorted") == row.body
    assert (history.state.seq, history.state.head) == (len(history.state.rows), head)


def test_given_a_known_event_when_appended_then_fingerprint_bytes_and_hash_are_those_of_earlier_versions() -> (
    None
):
    payload = {"text": 'é"\\\u2028😀', "figures": {"z": 1, "a": -0.5}, "B": [{"y": None, "x": True}], "a": {}}
    event = NewEvent(type=E.PATROL_TICK, unit_id="u-1", event_id="e-1", payload=payload)
    parsed = parse(event, Service.DUTY_OFFICER)
    state = State(0, GENESIS_HASH, {}, {}, {}, {})
    request = Request(Service.DUTY_OFFICER, (parsed,), f"00-{'1' * 32}-{'2' * 16}-01")
    state.apply(request, [""], START + timedelta(microseconds=5))
    body = (
        '{"event_id":"e-1","garrison_id":"local","order_id":null,"payload":{"B":[{"x":true,"y":null}],"a":{},'
        '"figures":{"a":-0.5,"z":1},"text":"é\\"\\\\\u2028😀"},"run_id":null,"seq":1,"source":"duty_officer",'
        '"theater_id":null,"traceparent":"00-11111111111111111111111111111111-2222222222222222-01",'
        '"ts":"2026-03-14T12:00:00.000005Z","type":"PATROL_TICK","unit_id":"u-1"}'
    )
    assert state.rows[0].body.decode() == body
    assert state.head == "4dfbc4472cf9c30dd83bf2e0f63e4732b783bec9e446be7007116cdeb87c254f"
    assert parsed.fingerprint.hex() == "97e9e74a187571060154295dde2b0a626ed748d06009e0ec7a08087c96dd5073"


def test_given_a_history_when_replayed_then_the_snapshots_are_those_that_appending_made(
    history: History,
) -> None:
    history.completed()
    history.gate()
    history.tell(Service.INTEGRATION, E.INTEGRATED, p.Integrated(commit_sha=MERGE, mainline="main"))
    replay = Replay()
    for row in history.state.rows:
        replay.feed(row.event)
    assert (replay.runs, replay.orders) == (history.state.runs, history.state.orders)
    assert history.state.runs["run"].orders_integrated == 1 and history.state.runs["run"].orders_open == 0


def test_given_an_order_when_claimed_and_ended_then_its_lease_comes_and_goes_in_the_same_request(
    history: History,
) -> None:
    history.run()
    history.create()
    history.dispatch()
    history.claim(lease_seconds=20)
    lease = history.state.leases["order"]
    assert (lease.attempt, lease.unit_id, lease.expires_at) == (1, "unit", START + timedelta(seconds=20))
    failed = p.OrderFailed(reason="x")
    assert history.tell(Service.WORKER, E.ORDER_FAILED, failed, unit_id="unit").phase is (
        OrderPhase.ATTEMPT_FAILED
    )
    assert history.state.leases == {} and history.state.changed_leases == {"order": None}


def test_given_a_whole_life_in_one_request_when_appended_then_each_event_sees_the_one_before(
    history: History,
) -> None:
    history.run()
    history.create()
    ids = {"order_id": "order"}
    created = p.WorktreeCreated(path="/w", branch="b", base_commit=SHA)
    history.send(
        Service.VAULT,
        new_event(E.WORKTREE_CREATED, created, **ids),
        new_event(E.WORKTREE_READY, p.WorktreeReady(path="/w"), **ids),
    )
    enqueued = p.OrderEnqueued(base_commit=SHA)
    assert history.tell(Service.CO, E.ORDER_ENQUEUED, enqueued).phase is OrderPhase.ENQUEUED


def test_given_a_time_of_the_senders_when_appended_then_it_is_kept_in_utc(history: History) -> None:
    sent = datetime(2026, 3, 14, 9, 0, tzinfo=timezone(timedelta(hours=2)))
    assert history.send(Service.DUTY_OFFICER, tick(ts=sent))[0].ts == datetime(2026, 3, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ts", "reason"),
    [
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "outside the calendar"),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "ahead of the ledger's clock"),
        (START + timedelta(seconds=301), "ahead of the ledger's clock"),
    ],
)
def test_given_a_time_that_no_clock_could_show_when_appended_then_400_says_so(
    history: History, ts: datetime, reason: str
) -> None:
    with pytest.raises(BadRequest, match=reason):
        history.send(Service.DUTY_OFFICER, tick(ts=ts))


def test_given_an_event_of_an_order_without_its_id_when_parsed_then_the_field_is_named(
    history: History,
) -> None:
    with pytest.raises(BadRequest, match="ORDER_CANCELLED needs order_id"):
        history.send(Service.CO, new_event(E.ORDER_CANCELLED, p.OrderCancelled(reason="x"), run_id="run"))


def test_given_a_payload_of_the_wrong_type_when_parsed_then_its_path_is_named(history: History) -> None:
    with pytest.raises(BadRequest, match=r"payload of PATROL_TICK: .*\$\.figures"):
        history.send(Service.DUTY_OFFICER, NewEvent(type=E.PATROL_TICK, payload={"figures": "many"}))
