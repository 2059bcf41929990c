"""Replay events into snapshots: for a rebuild, and for the state as of an earlier seq. Pure."""

import msgspec

from ironclaw_contracts import payloads as p
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import Event, typed_payload
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.folding import fold_run
from ironclaw_contracts.snapshots import Escalation, OrderSnapshot, RunSnapshot, RunView
from ironclaw_contracts.transitions import ORDER_TRANSITIONS, RUN_TRANSITIONS, TERMINAL_PHASES
from ironclaw_ledger import escalations, fold


class Replay:
    """Snapshots after the events fed so far, which the ledger checked when it appended them."""

    def __init__(self) -> None:
        self.runs: dict[str, RunSnapshot] = {}
        self.orders: dict[str, OrderSnapshot] = {}
        self.escalations: dict[str, Escalation] = {}
        self.events = 0

    def feed(self, event: Event) -> None:
        """Take the next event in the order of seq."""
        self.events += 1
        if event.type is E.RUN_CREATED:
            created = fold.create_run(event, msgspec.convert(event.payload, p.RunCreated))
            self.runs[created.run_id] = created
        elif event.type in RUN_TRANSITIONS and event.run_id is not None:
            payload = typed_payload(event.type, event.payload)
            self.runs[event.run_id] = fold_run(self.runs[event.run_id], event, payload)
        elif event.type is E.ORDER_CREATED:
            order = fold.create_order(event, msgspec.convert(event.payload, p.OrderCreated))
            self.orders[order.order_id] = order
            self.runs[order.run_id] = fold.count_orders(self.runs[order.run_id], event, total=1, open_=1)
        elif event.type in ORDER_TRANSITIONS and event.order_id is not None:
            self._order_event(event, self.orders[event.order_id])
        elif event.type is E.ESCALATION_RAISED:
            payload = msgspec.convert(event.payload, p.EscalationRaised)
            self.escalations[event.event_id] = escalations.raised(event, payload)
        elif event.type is E.ESCALATION_ACKED:
            ack = msgspec.convert(event.payload, p.EscalationAcked)
            open_ = self.escalations[ack.escalation_id]
            self.escalations[ack.escalation_id] = escalations.acked(open_, event, ack)

    def _order_event(self, event: Event, before: OrderSnapshot) -> None:
        after = fold.fold_order(before, event, typed_payload(event.type, event.payload))
        self.orders[after.order_id] = after
        if after.phase in TERMINAL_PHASES and before.phase not in TERMINAL_PHASES:
            integrated = 1 if after.phase is OrderPhase.INTEGRATED else 0
            run = self.runs[after.run_id]
            self.runs[after.run_id] = fold.count_orders(run, event, open_=-1, integrated=integrated)

    def view(self, run_id: str) -> RunView | None:
        """Return a run with its orders, oldest first; None when it did not exist yet."""
        run = self.runs.get(run_id)
        if run is None:
            return None
        orders = [order for order in self.orders.values() if order.run_id == run_id]
        return RunView(run=run, orders=sorted(orders, key=lambda order: order.first_seq))
