"""A fleet of figures: orders that profiles do with known success rates, as the ledger would tell of them."""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from ironclaw_co.routing import RoutingTable
from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Order, Profile
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.events import Event, EventType, new_event
from ironclaw_contracts.plan import Budget
from ironclaw_contracts.policy import PolicyParameters
from ironclaw_contracts.snapshots import RunSnapshot
from ironclaw_learning.fold import fold
from ironclaw_learning.gate import demotion, judge, propose
from ironclaw_learning.governance import configuration, promotion, withdrawal
from ironclaw_learning.learned import Learned

START = datetime(2026, 1, 1, tzinfo=UTC)
SHA = "a" * 40

Rates = Mapping[str, Mapping[str, float]]


class SimulatedFleet:
    """The ledger, co's routing and learning, with outcomes drawn from known rates in place of units."""

    def __init__(self, parameters: PolicyParameters, seed: int, *, autopromote: bool = True) -> None:
        self.learned = Learned()
        self.table = RoutingTable(default=parameters.profiles[0])
        self.events: list[Event] = []
        self.autopromote = autopromote
        self.parameters = parameters
        self._random = random.Random(seed)
        self._orders = 0

    def append(self, kind: EventType, payload: p.Payload, order_id: str | None = None) -> Event:
        """Append an event as the ledger would, and take it in."""
        made = new_event(kind, payload, order_id=order_id)
        seq = len(self.events) + 1
        event = Event(
            seq=seq,
            event_id=f"e{seq}",
            ts=START + timedelta(seconds=seq),
            type=kind,
            garrison_id="local",
            theater_id="t",
            run_id="run",
            order_id=order_id,
            unit_id=None,
            source="test",
            payload=made.payload,
            prev_hash="0" * 64,
            hash="0" * 64,
        )
        self.events.append(event)
        fold(self.learned, event)
        if isinstance(payload, p.PolicyUpdated):
            self.table = self.table.after(payload)
        return event

    def order(self, task_type: str, rates: Mapping[str, float]) -> str:
        """Route one order, have it succeed or fail, and return its profile."""
        self._orders += 1
        order_id = f"order-{self._orders}"
        routed = self.table.route(run(), task_type, order_id)
        made = Order(
            order_id=order_id,
            run_id="run",
            theater_id="t",
            type=task_type,
            objective="x",
            profile=routed.profile,
        )
        self.append(
            EventType.ORDER_CREATED,
            p.OrderCreated(order=made, title="t", routing=routed.routing),
            order_id,
        )
        self.append(EventType.ORDER_STARTED, p.OrderStarted(), order_id)
        if self._random.random() < rates[routed.profile.name]:
            self.append(EventType.INTEGRATED, p.Integrated(commit_sha=SHA, mainline="main"), order_id)
        else:
            self.append(EventType.ORDER_FAILED, p.OrderFailed(reason="x", final=True), order_id)
        return routed.profile.name

    def orders(self, rates: Rates, count: int) -> Iterator[tuple[str, str]]:
        """Do orders of types drawn at random; yield each one's type and profile."""
        types = sorted(rates)
        for _ in range(count):
            task_type = self._random.choice(types)
            yield task_type, self.order(task_type, rates[task_type])

    def tick(self) -> list[str]:
        """Decide as learning does, and return the steps taken."""
        taken: list[str] = []
        for step in self._steps():
            self.append_step(step)
            taken.append(step.action)
        return taken

    def append_step(self, step: p.PolicyUpdated) -> None:
        """Append a step in the life of the policy."""
        self.append(EventType.POLICY_UPDATED, step)

    def _steps(self) -> Iterator[p.PolicyUpdated]:
        if (step := configuration(self.learned, self.parameters)) is not None:
            yield step
        if (reason := demotion(self.learned)) is not None:
            yield withdrawal(self.learned, "learning", reason, demoted=True)
        if (step := propose(self.learned)) is not None:
            yield step
        waiting = self.learned.proposal
        if not self.autopromote or self.learned.held or waiting is None or waiting.document is None:
            return
        if judge(self.learned, waiting.document).readiness == "ready_for_promotion":
            yield promotion(self.learned, waiting.version, "learning")

    def promote(self) -> None:
        """Put the proposal that waits in force, as an operator does."""
        waiting = self.learned.proposal
        assert waiting is not None
        self.append_step(promotion(self.learned, waiting.version, "operator"))


def run(profile: str | None = None) -> RunSnapshot:
    """An open run, as routing sees it."""
    return RunSnapshot(
        run_id="run",
        theater_id="t",
        garrison_id="local",
        user_id="u",
        objective="x",
        playbook=None,
        inputs={},
        constraints=p.RunCreated(user_id="u", objective="x").constraints,
        budget=Budget(),
        status=RunStatus.OPEN,
        plan=None,
        cancel_requested=None,
        reply=None,
        artifacts=[],
        reason=None,
        orders_total=0,
        orders_open=0,
        orders_integrated=0,
        created_at=START,
        updated_at=START,
        status_event_id="e",
        first_seq=1,
        last_seq=1,
        profile=profile,
    )


def parameters(*profiles: str, **changes: object) -> PolicyParameters:
    """Parameters with the default profile and others."""
    named = [Profile(), *(Profile(name=name, model=f"model-{name}") for name in profiles)]
    return PolicyParameters(profiles=named, **changes)  # type: ignore[arg-type]
