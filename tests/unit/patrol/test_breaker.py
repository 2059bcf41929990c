"""Breakers over virtual time: the real ledger's decisions, the real rules, a clock that is moved by hand."""

import heapq
import random
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

from ironclaw_chassis.escalations import Escalations
from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.endpoints.duty_officer import Intervention
from ironclaw_contracts.endpoints.ledger import Appended
from ironclaw_contracts.enums import Cause, OrderPhase, Service, Severity
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.events import Event, NewEvent, new_event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import OrderSnapshot, OrderView
from ironclaw_patrol.breaker import Breaker, BreakerLimits, State, turn
from ironclaw_patrol.breakers import Breakers
from ironclaw_patrol.health import HealthWatch
from ironclaw_patrol.rules import Held, Reissue, Thresholds, decide
from tests.unit.ledger.history import History

LIMITS = Thresholds(unclaimed_seconds=5, lease_seconds=10, suspect_seconds=2.5)
BREAKER = BreakerLimits()


class VirtualLedger:
    """The ledger in memory behind the surface that the patrol uses."""

    def __init__(self, history: History) -> None:
        self.history = history

    async def append(self, event: NewEvent) -> Appended:
        return self.history.send(Service.DUTY_OFFICER, event)[0]

    async def order(self, order_id: str) -> OrderView:
        if order_id not in self.history.state.orders:
            raise NotFound(order_id)
        return OrderView(self.history.state.orders[order_id], self.history.state.leases.get(order_id))

    async def events(self, types: Iterable[E]) -> AsyncIterator[Event]:
        for row in self.history.state.rows:
            if row.event.type in set(types):
                yield row.event

    def of_type(self, kind: E) -> list[Event]:
        return [row.event for row in self.history.state.rows if row.event.type is kind]


class World:
    """Orders, units that take five seconds, and a provider that is away at times."""

    def __init__(self, orders: int, outages: list[tuple[float, float]]) -> None:
        self.history = History()
        self.history.run(max_orders=2_000)
        self.ledger = VirtualLedger(self.history)
        self.start = self.history.now
        self.outages = outages
        self.jobs: list[tuple[datetime, int, str]] = []
        self.serial = 0
        self.chance = random.Random(7)
        escalations = Escalations(self.ledger, "local")  # type: ignore[arg-type]
        health = HealthWatch(None, self.ledger, escalations, [], "local")  # type: ignore[arg-type]
        self.breakers = Breakers(self.ledger, health, escalations, BREAKER)  # type: ignore[arg-type]
        for number in range(orders):
            self.create(f"order-{number}")

    def create(self, order_id: str) -> None:
        order = Order(order_id=order_id, run_id="run", theater_id="t", type="draft", objective="x")
        created = p.OrderCreated(order=order, title="t")
        self.history.send(Service.CO, new_event(E.ORDER_CREATED, created, run_id="run", order_id=order_id))
        self.begin(order_id, 1)

    def begin(self, order_id: str, attempt: int) -> None:
        self.history.dispatch(order_id, attempt)
        self.history.claim(order_id, attempt, lease_seconds=3600)
        self.serial += 1
        seconds = 5 + self.chance.random()
        heapq.heappush(self.jobs, (self.history.now + timedelta(seconds=seconds), self.serial, order_id))

    def is_away(self) -> bool:
        elapsed = (self.history.now - self.start).total_seconds()
        return any(begin <= elapsed < end for begin, end in self.outages)

    def work(self) -> None:
        while self.jobs and self.jobs[0][0] <= self.history.now:
            _, _, order_id = heapq.heappop(self.jobs)
            order = self.history.state.orders[order_id]
            if self.is_away():
                failed = p.OrderFailed(
                    attempt=order.attempt, cause=Cause.PROVIDER_DOWN, reason="the provider answered 503"
                )
                self.history.tell(Service.WORKER, E.ORDER_FAILED, failed, order_id, unit_id="unit")
            else:
                common = {"attempt": order.attempt}
                written = p.AarWritten(
                    path="aar.json", sha256="0" * 64, status="completed", summary="", **common
                )
                self.history.tell(Service.WORKER, E.AAR_WRITTEN, written, order_id, unit_id="unit")
                done = p.OrderCompleted(commit_sha="c" * 40, **common)
                self.history.tell(Service.WORKER, E.ORDER_COMPLETED, done, order_id, unit_id="unit")

    async def reissue(self, decision: Reissue) -> Intervention:
        order = decision.order
        reissued = p.OrderReissued(attempt=order.attempt + 1, reason=decision.reason, cause=decision.cause)
        self.history.tell(Service.DUTY_OFFICER, E.ORDER_REISSUED, reissued, order.order_id)
        self.begin(order.order_id, order.attempt + 1)
        return Intervention(order.order_id, decision.rule, "reissued", decision.reason)

    async def look(self) -> None:
        held: list[Held] = []
        for order in self.history.state.orders.values():
            decision = decide(order, None, self.history.now, LIMITS)
            if order.phase is OrderPhase.ATTEMPT_FAILED:
                assert isinstance(decision, Held), decision
                held.append(decision)
        await self.breakers.look(held, self.history.now, self.reissue)

    async def run(self, seconds: float, step: float = 2.0) -> None:
        for _ in range(int(seconds / step)):
            self.history.wait(step)
            self.work()
            await self.look()


async def test_given_an_hour_without_the_provider_when_it_is_back_then_no_order_failed_and_one_escalation_was_raised() -> (
    None
):
    world = World(60, [(0.0, 3_600.0)])
    await world.run(1_800)
    for number in range(20):
        world.create(f"late-{number}")
    await world.run(1_800 + 600)
    phases = {order.phase for order in world.history.state.orders.values()}
    assert phases == {OrderPhase.COMPLETED}, phases
    raised = world.ledger.of_type(E.ESCALATION_RAISED)
    assert [event.payload["subject"] for event in raised] == ["cause:provider_down"]
    assert raised[0].payload["severity"] == Severity.HIGH
    assert len(world.ledger.of_type(E.SERVICE_DEGRADED)) == 1
    assert len(world.ledger.of_type(E.SERVICE_RECOVERED)) == 1
    assert world.breakers.open_causes == []
    # It probed all the while, and with few orders: a minute's pause leaves about 60 probes in the hour.
    reissues = len(world.ledger.of_type(E.ORDER_REISSUED))
    assert 50 + 80 <= reissues <= 120 + 80


async def test_given_a_provider_that_comes_and_goes_when_it_settles_then_it_was_one_episode() -> None:
    world = World(40, [(0.0, 300.0), (440.0, 700.0)])
    await world.run(450)
    for number in range(10):
        world.create(f"late-{number}")
    await world.run(1_500)
    assert {order.phase for order in world.history.state.orders.values()} == {OrderPhase.COMPLETED}
    assert len(world.ledger.of_type(E.ESCALATION_RAISED)) == 1
    degraded = len(world.ledger.of_type(E.SERVICE_DEGRADED))
    assert degraded == len(world.ledger.of_type(E.SERVICE_RECOVERED)) == 2


async def test_given_a_patrol_that_restarts_in_an_outage_when_it_looks_then_nobody_hears_of_it_twice() -> (
    None
):
    world = World(10, [(0.0, 600.0)])
    await world.run(200)
    escalations = Escalations(world.ledger, "local")  # type: ignore[arg-type]
    health = HealthWatch(None, world.ledger, escalations, [], "local")  # type: ignore[arg-type]
    world.breakers = Breakers(world.ledger, health, escalations, BREAKER)  # type: ignore[arg-type]
    await world.run(1_000)
    assert {order.phase for order in world.history.state.orders.values()} == {OrderPhase.COMPLETED}
    assert len(world.ledger.of_type(E.ESCALATION_RAISED)) == 1


def held_order() -> OrderSnapshot:
    made = History()
    made.run()
    made.create()
    made.dispatch()
    made.claim()
    failed = p.OrderFailed(attempt=1, cause=Cause.QUOTA, reason="429")
    return made.tell(Service.WORKER, E.ORDER_FAILED, failed, unit_id="unit")


def test_given_a_probe_that_was_cancelled_when_looked_at_then_another_is_tried_at_once() -> None:
    order = held_order()
    now = order.phase_since + timedelta(seconds=9)
    probing = Breaker(Cause.QUOTA, State.PROBING, now, now, probe="gone", probe_attempt=2)
    first = turn(probing, Cause.QUOTA, [order], None, now, BREAKER)
    assert first.breaker is not None and first.breaker.state is State.OPEN and first.release == []
    second = turn(first.breaker, Cause.QUOTA, [order], None, now, BREAKER)
    assert second.release == [order]


def test_given_all_held_orders_cancelled_when_looked_at_then_the_breaker_closes() -> None:
    now = held_order().phase_since
    turned = turn(Breaker(Cause.QUOTA, State.OPEN, now, now), Cause.QUOTA, [], None, now, BREAKER)
    assert turned.breaker is None and turned.recovered
