"""Histories without a database: requests decided one after another on a state in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.chain import GENESIS_HASH
from ironclaw_contracts.endpoints.ledger import Appended
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent, new_event
from ironclaw_contracts.plan import Budget
from ironclaw_contracts.snapshots import OrderSnapshot, RunSnapshot
from ironclaw_ledger.append import Request, State, parse

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
SHA = "a" * 40
MERGE = "b" * 40


class History:
    """A ledger in memory with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.state = State(0, GENESIS_HASH, {}, {}, {}, {})
        self.now = START
        self._fresh = 0

    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)

    def send(self, source: Service, *events: NewEvent) -> list[Appended]:
        """Decide one request."""
        request = Request(source=source, events=tuple(parse(event, source) for event in events))
        new_ids = [self._next_id() for _ in events]
        return self.state.apply(request, new_ids, self.now)

    def _next_id(self) -> str:
        self._fresh += 1
        return f"fresh-{self._fresh}"

    def run(self, run_id: str = "run", max_orders: int = 500, theater_id: str = "t") -> RunSnapshot:
        """Create a run."""
        created = p.RunCreated(user_id="u", objective="x", budget=Budget(max_orders=max_orders))
        self.send(Service.CO, new_event(E.RUN_CREATED, created, run_id=run_id, theater_id=theater_id))
        return self.state.runs[run_id]

    def create(self, order_id: str = "order", run_id: str = "run", **changes: Any) -> OrderSnapshot:
        """Create an order; `changes` go into the payload or, as `theater_id`, the event."""
        theater_id = changes.pop("theater_id", None)
        order = Order(order_id=order_id, run_id=run_id, theater_id="t", type="draft", objective="x")
        created = p.OrderCreated(order=order, title="t", **changes)
        event = new_event(E.ORDER_CREATED, created, run_id=run_id, order_id=order_id, theater_id=theater_id)
        self.send(Service.CO, event)
        return self.state.orders[order_id]

    def tell(
        self, source: Service, kind: E, payload: p.Payload, order_id: str = "order", **ids: Any
    ) -> OrderSnapshot:
        """Append an event of an order and return the order after it."""
        self.send(source, new_event(kind, payload, order_id=order_id, **ids))
        return self.state.orders[order_id]

    def dispatch(self, order_id: str = "order", attempt: int = 1, contains: list[str] | None = None) -> None:
        """Give an order its worktree and enqueue it."""
        created = p.WorktreeCreated(
            attempt=attempt, path="/w", branch="b", base_commit=SHA, contains=contains or []
        )
        self.tell(Service.VAULT, E.WORKTREE_CREATED, created, order_id)
        self.tell(Service.VAULT, E.WORKTREE_READY, p.WorktreeReady(attempt=attempt, path="/w"), order_id)
        enqueued = p.OrderEnqueued(attempt=attempt, base_commit=SHA)
        self.tell(Service.CO, E.ORDER_ENQUEUED, enqueued, order_id)

    def claim(self, order_id: str = "order", attempt: int = 1, lease_seconds: int = 15) -> None:
        """Have a unit claim an order and start."""
        claimed = p.OrderClaimed(attempt=attempt, lease_seconds=lease_seconds)
        self.tell(Service.WORKER, E.ORDER_CLAIMED, claimed, order_id, unit_id="unit")
        started = p.OrderStarted(attempt=attempt)
        self.tell(Service.WORKER, E.ORDER_STARTED, started, order_id, unit_id="unit")

    def report(self, order_id: str = "order", attempt: int = 1, status: str = "completed") -> None:
        """Have the unit report and complete."""
        aar = p.AarWritten(attempt=attempt, path="aar.json", sha256="0" * 64, status=status, summary="s")
        self.tell(Service.WORKER, E.AAR_WRITTEN, aar, order_id, unit_id="unit")
        completed = p.OrderCompleted(attempt=attempt, commit_sha=SHA)
        self.tell(Service.WORKER, E.ORDER_COMPLETED, completed, order_id, unit_id="unit")

    def gate(self, order_id: str = "order", gates: list[p.GateResult] | None = None) -> None:
        """Have the order validated, merged and gated."""
        self.tell(Service.OBSERVER, E.INTEGRATION_READY, p.IntegrationReady(commit_sha=SHA), order_id)
        started = p.IntegrationStarted(commit_sha=SHA)
        self.tell(Service.INTEGRATION, E.INTEGRATION_STARTED, started, order_id)
        passed = p.IntegrationPassed(merge_commit=MERGE, onto=SHA, gates=gates or [])
        self.tell(Service.INTEGRATION, E.INTEGRATION_PASSED, passed, order_id)

    def completed(self) -> None:
        """Bring one order of one run to COMPLETED."""
        self.run()
        self.create()
        self.dispatch()
        self.claim()
        self.report()
