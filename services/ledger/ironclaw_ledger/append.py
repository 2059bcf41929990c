"""Decide an append: which requests of a group are accepted, and what they change. Pure.

A request is all or nothing; one that is refused leaves no trace and does not touch its neighbours.
"""

import hashlib
from collections import ChainMap
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from ironclaw_contracts import payloads as p
from ironclaw_contracts.authority import check_authority
from ironclaw_contracts.chain import EventBody, canonical, canonical_bytes, link
from ironclaw_contracts.endpoints.ledger import Appended, BatchAppended
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import BadRequest, EventConflict, Problem
from ironclaw_contracts.events import Event, NewEvent, typed_payload
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.folding import fold_run
from ironclaw_contracts.snapshots import Escalation, Lead, Lease, OrderSnapshot, RunSnapshot
from ironclaw_contracts.transitions import ORDER_TRANSITIONS, RUN_TRANSITIONS, TERMINAL_PHASES
from ironclaw_ledger import escalations, fold, guards

_HOLDING = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
_CLOCK_SKEW = timedelta(seconds=300)
_encode = msgspec.json.Encoder().encode


class Parsed(Struct, frozen=True):
    """An event, its payload typed and printed, and the fingerprint that tells a retry from another event."""

    event: NewEvent
    payload: p.Payload
    printed: msgspec.Raw
    fingerprint: bytes


class Request(Struct, frozen=True):
    """Events that one caller wants appended, all or none, in the trace of its call."""

    source: Service
    events: tuple[Parsed, ...]
    traceparent: str | None = None


class Row(Struct, frozen=True):
    """One row of the table of events."""

    event: Event
    fingerprint: bytes
    body: bytes


def parse(event: NewEvent, source: Service) -> Parsed:
    """Check an event as far as that needs no state. Raises `Authority` or `BadRequest`."""
    check_authority(source, event.type)
    payload = typed_payload(event.type, event.payload)
    if event.type in ORDER_TRANSITIONS and event.order_id is None:
        raise BadRequest(f"{event.type} needs order_id")
    printed = canonical(event.payload)
    fields = (
        event.type,
        event.garrison_id,
        event.theater_id,
        event.run_id,
        event.order_id,
        event.unit_id,
        source,
        printed,
    )
    digest = hashlib.sha256(_encode(fields)).digest()
    return Parsed(event=event, payload=payload, printed=printed, fingerprint=digest)


def orders_needed(request: Request) -> set[str]:
    """Return the orders whose snapshots a request needs, but for those that `orders_enqueued` leads to."""
    ids: set[str] = set()
    for parsed in request.events:
        if parsed.event.order_id is not None:
            ids.add(parsed.event.order_id)
        if isinstance(parsed.payload, p.OrderCreated):
            ids.update(parsed.payload.depends_on)
            if parsed.payload.replaces is not None:
                ids.add(parsed.payload.replaces)
    return ids


def orders_enqueued(request: Request) -> set[str]:
    """Return the orders that a request enqueues; deciding that needs what they depend on."""
    return {
        parsed.event.order_id
        for parsed in request.events
        if isinstance(parsed.payload, p.OrderEnqueued) and parsed.event.order_id is not None
    }


def escalations_needed(request: Request) -> set[str]:
    """Return the escalations that a request acknowledges."""
    payloads = (parsed.payload for parsed in request.events)
    return {payload.escalation_id for payload in payloads if isinstance(payload, p.EscalationAcked)}


def takes_orders(request: Request) -> bool:
    """Tell whether a request may take an order from the unit that holds it."""
    return any(guards.turns_on_lease(parsed.payload) for parsed in request.events)


class State:
    """What a group of requests sees and changes: the head, snapshots, leases, and events known by id.

    `lead` is that of the patrol: it says which service may act for the duty officer.
    """

    def __init__(
        self,
        seq: int,
        head: str,
        runs: dict[str, RunSnapshot],
        orders: dict[str, OrderSnapshot],
        leases: dict[str, Lease],
        known: dict[str, tuple[bytes, Appended]],
        *,
        escalations: dict[str, Escalation] | None = None,
        lead: Lead | None = None,
    ) -> None:
        self.seq, self.head = seq, head
        self.runs, self.orders, self.leases, self.known = runs, orders, leases, known
        self.escalations: dict[str, Escalation] = escalations or {}
        self.lead = lead
        self.rows: list[Row] = []
        self.changed_runs: dict[str, RunSnapshot] = {}
        self.changed_orders: dict[str, OrderSnapshot] = {}
        self.changed_leases: dict[str, Lease | None] = {}
        self.changed_escalations: dict[str, Escalation] = {}

    def apply(self, request: Request, new_ids: list[str], now: datetime) -> list[Appended]:
        """Accept a request, or raise its `Problem` and change nothing. `new_ids` serves events without id."""
        trial = _Trial(self, request, now)
        answers = [
            trial.append(parsed, parsed.event.event_id or new_id)
            for parsed, new_id in zip(request.events, new_ids, strict=True)
        ]
        trial.keep()
        return answers

    def seen(self, request: Request, answers: list[Appended]) -> BatchAppended:
        """Return the answers with the runs and orders that the request's events name, as they are now."""
        run_ids = dict.fromkeys(parsed.event.run_id for parsed in request.events)
        order_ids = dict.fromkeys(parsed.event.order_id for parsed in request.events)
        return BatchAppended(
            events=answers,
            runs=[self.runs[run_id] for run_id in run_ids if run_id in self.runs],
            orders=[self.orders[order_id] for order_id in order_ids if order_id in self.orders],
        )


class _Trial:
    """The changes of one request, kept only when all of its events pass."""

    def __init__(self, state: State, request: Request, now: datetime) -> None:
        self._state = state
        self._source, self._traceparent, self._now = request.source, request.traceparent, now
        self._seq, self._head = state.seq, state.head
        self._rows: list[Row] = []
        self._runs: dict[str, RunSnapshot] = {}
        self._orders: dict[str, OrderSnapshot] = {}
        self._leases: dict[str, Lease | None] = {}
        self._escalations: dict[str, Escalation] = {}
        self._known: dict[str, tuple[bytes, Appended]] = {}

    def append(self, parsed: Parsed, event_id: str) -> Appended:
        known = self._known.get(event_id) or self._state.known.get(event_id)
        if known is not None:
            if known[0] != parsed.fingerprint:
                raise EventConflict(f"event {event_id} is known with another body")
            return msgspec.structs.replace(known[1], duplicate=True)
        kind = parsed.event.type
        guards.check_lead(parsed.event, self._source, self._state.lead, self._now)
        if kind is E.RUN_CREATED or kind in RUN_TRANSITIONS:
            event = self._run_event(parsed, event_id)
        elif kind is E.ORDER_CREATED or kind in ORDER_TRANSITIONS:
            event = self._order_event(parsed, event_id)
        elif kind in {E.ESCALATION_RAISED, E.ESCALATION_ACKED}:
            event = self._escalation_event(parsed, event_id)
        else:
            event = self._chain(parsed, event_id)
        answer = Appended(event_id=event_id, seq=event.seq, ts=event.ts, hash=event.hash, duplicate=False)
        self._known[event_id] = (parsed.fingerprint, answer)
        return answer

    def keep(self) -> None:
        state = self._state
        state.seq, state.head = self._seq, self._head
        state.rows.extend(self._rows)
        state.known |= self._known
        state.runs |= self._runs
        state.orders |= self._orders
        state.changed_runs |= self._runs
        state.changed_orders |= self._orders
        state.changed_leases |= self._leases
        state.escalations |= self._escalations
        state.changed_escalations |= self._escalations
        for order_id, lease in self._leases.items():
            if lease is None:
                state.leases.pop(order_id, None)
            else:
                state.leases[order_id] = lease

    def _chain(
        self, parsed: Parsed, event_id: str, *, run_id: str | None = None, theater_id: str | None = None
    ) -> Event:
        """Put an event that all guards let pass behind the one before.

        `run_id` and `theater_id` are those of what it belongs to, which its sender may leave out.
        """
        given = parsed.event
        body = EventBody(
            event_id=event_id,
            garrison_id=given.garrison_id,
            order_id=given.order_id,
            payload=parsed.printed,
            run_id=run_id or given.run_id,
            seq=self._seq + 1,
            source=self._source,
            theater_id=theater_id or given.theater_id,
            traceparent=self._traceparent,
            ts=_stamp(given.ts, self._now),
            type=given.type,
            unit_id=given.unit_id,
        )
        printed = canonical_bytes(body)
        event = Event(
            seq=body.seq,
            event_id=event_id,
            ts=body.ts,
            type=given.type,
            garrison_id=body.garrison_id,
            theater_id=body.theater_id,
            run_id=body.run_id,
            order_id=body.order_id,
            unit_id=body.unit_id,
            source=self._source,
            payload=given.payload,
            prev_hash=self._head,
            hash=link(self._head, printed),
            traceparent=self._traceparent,
        )
        self._rows.append(Row(event=event, fingerprint=parsed.fingerprint, body=printed))
        self._seq, self._head = event.seq, event.hash
        return event

    def _run(self, run_id: str | None) -> RunSnapshot | None:
        return None if run_id is None else self._runs.get(run_id) or self._state.runs.get(run_id)

    def _order(self, order_id: str | None) -> OrderSnapshot | None:
        return None if order_id is None else self._orders.get(order_id) or self._state.orders.get(order_id)

    def _run_event(self, parsed: Parsed, event_id: str) -> Event:
        """Chain and fold a run's event."""
        run, payload = self._run(parsed.event.run_id), parsed.payload
        if isinstance(payload, p.RunCreated):
            guards.check_run_creation(run, parsed.event)
            event = self._chain(parsed, event_id)
            self._put_run(fold.create_run(event, payload))
            return event
        run = guards.check_run_event(run, parsed.event, payload)
        event = self._chain(parsed, event_id, theater_id=run.theater_id)
        self._put_run(fold_run(run, event, payload))
        return event

    def _order_event(self, parsed: Parsed, event_id: str) -> Event:
        """Chain and fold an order's event."""
        siblings = ChainMap(self._orders, self._state.orders)
        order, payload = self._order(parsed.event.order_id), parsed.payload
        if isinstance(payload, p.OrderCreated):
            run = guards.check_order_creation(
                self._run(parsed.event.run_id), order, parsed.event, payload, siblings
            )
            event = self._chain(parsed, event_id, theater_id=run.theater_id)
            self._put_order(fold.create_order(event, payload))
            self._put_run(fold.count_orders(run, event, total=1, open_=1))
            return event
        order = guards.check_order_event(order, parsed.event, payload, self._source)
        lease = self._leases.get(order.order_id, self._state.leases.get(order.order_id))
        guards.check_details(
            order,
            parsed.event,
            payload,
            source=self._source,
            lease=lease,
            siblings=siblings,
            now=self._now,
        )
        event = self._chain(parsed, event_id, run_id=order.run_id, theater_id=order.theater_id)
        after = fold.fold_order(order, event, payload)
        self._put_order(after)
        self._lease_after(after, payload)
        if after.phase in TERMINAL_PHASES and order.phase not in TERMINAL_PHASES:
            self._count_end(after, event)
        return event

    def _escalation_event(self, parsed: Parsed, event_id: str) -> Event:
        """Chain and fold an event of an escalation."""
        match parsed.payload:
            case p.EscalationRaised() as payload:
                event = self._chain(parsed, event_id)
                self._escalations[event_id] = escalations.raised(event, payload)
            case p.EscalationAcked(escalation_id=key) as payload:
                found = self._escalations.get(key) or self._state.escalations.get(key)
                open_ = escalations.check_ack(found, payload)
                event = self._chain(parsed, event_id)
                self._escalations[key] = escalations.acked(open_, event, payload)
            case payload:
                raise TypeError(f"{parsed.event.type} does not carry {type(payload).__name__}")
        return event

    def _lease_after(self, order: OrderSnapshot, payload: p.Payload) -> None:
        if isinstance(payload, p.OrderClaimed) and order.unit_id is not None:
            expires_at = self._now + timedelta(seconds=payload.lease_seconds)
            self._leases[order.order_id] = Lease(
                order.order_id,
                order.attempt,
                order.unit_id,
                expires_at,
                lease_seconds=payload.lease_seconds,
            )
        elif order.phase not in _HOLDING and (
            order.order_id in self._state.leases or order.order_id in self._leases
        ):
            self._leases[order.order_id] = None

    def _count_end(self, order: OrderSnapshot, event: Event) -> None:
        run = self._run(order.run_id)
        if run is not None:
            integrated = 1 if order.phase is OrderPhase.INTEGRATED else 0
            self._put_run(fold.count_orders(run, event, open_=-1, integrated=integrated))

    def _put_run(self, run: RunSnapshot) -> None:
        self._runs[run.run_id] = run

    def _put_order(self, order: OrderSnapshot) -> None:
        self._orders[order.order_id] = order


def _stamp(sent: datetime | None, now: datetime) -> datetime:
    """Return when an event happened, in UTC. Deadlines are counted from it, so it cannot lie ahead."""
    if sent is None:
        return now
    try:
        ts = sent.astimezone(UTC)
    except OverflowError as error:
        raise BadRequest(f"ts {sent.isoformat()} lies outside the calendar; leave ts out") from error
    if ts > now + _CLOCK_SKEW:
        raise BadRequest(
            f"ts {sent.isoformat()} lies more than {_CLOCK_SKEW.seconds} s ahead of the ledger's clock:"
            " set the sender's clock, or leave ts out"
        )
    return ts


def event_from_body(body: str | bytes, prev_hash: str, hash_hex: str) -> Event:
    """Return a stored event as readers see it."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    return msgspec.convert({**fields, "prev_hash": prev_hash, "hash": hash_hex}, Event)


Outcome = list[Appended] | Problem
