"""Figures of the ledger: appends as they happen, and the state of the fleet as its tables have it."""

from datetime import datetime

from ironclaw_chassis.metrics import counter, gauge, histogram
from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_contracts.transitions import TERMINAL_PHASES
from ironclaw_ledger.store import Store

EVENTS = counter("ironclaw_ledger_events_total", "Events appended by this process.", ("type",))
APPEND_SECONDS = histogram(
    "ironclaw_ledger_append_seconds", "Time from an append's arrival until it is durable, or refused."
)
GROUP_EVENTS = histogram(
    "ironclaw_ledger_group_events",
    "Events that one transaction held.",
    bounds=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000),
)
APPENDS_WAITING = gauge("ironclaw_ledger_appends_waiting", "Appends that wait for their transaction.")
HEAD_SEQ = gauge("ironclaw_ledger_head_seq", "Seq of the newest event.")
STREAMS_OPEN = gauge("ironclaw_ledger_streams_open", "Event streams that are open.")
RUNS_OPEN = gauge("ironclaw_runs_open", "Runs that have not ended.")
ORDERS = gauge("ironclaw_orders", "Orders that have not ended.", ("phase",))
ORDERS_STILL = gauge(
    "ironclaw_orders_still_seconds", "Time since the longest standing order of a phase moved.", ("phase",)
)
LEASES = gauge("ironclaw_leases", "Leases that units hold.")
LEASES_OVERDUE = gauge("ironclaw_leases_overdue", "Leases past their end that nobody has dealt with yet.")
ESCALATIONS_OPEN = gauge("ironclaw_escalations_open", "Escalations nobody acknowledged.", ("severity",))

_OPEN = sorted(set(OrderPhase) - TERMINAL_PHASES)


async def read_state(store: Store, now: datetime) -> None:
    """Set the gauges from the tables; figures of the whole fleet, the same from every replica."""
    found = await store.figures(now)
    HEAD_SEQ.set(found.head_seq)
    RUNS_OPEN.set(found.runs_open)
    LEASES.set(found.leases)
    LEASES_OVERDUE.set(found.leases_overdue)
    for phase in _OPEN:
        count, since = found.orders.get(phase, (0, now))
        ORDERS.labels(phase).set(count)
        ORDERS_STILL.labels(phase).set(max(0.0, (now - since).total_seconds()))
    for severity in Severity:
        ESCALATIONS_OPEN.labels(severity).set(found.escalations.get(severity, 0))
