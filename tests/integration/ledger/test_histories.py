"""Random histories, legal and illegal, against a model of the state machine."""

import asyncio
from pathlib import Path

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.authority import AUTHORITY
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import Conflict, Problem, StaleAttempt
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent, new_event
from ironclaw_contracts.transitions import FENCED, ORDER_TRANSITIONS, TERMINAL_PHASES
from ironclaw_ledger import audit
from ironclaw_ledger.fold import target_phase
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import MERGE, SHA, open_ledger
from tests.unit.ledger.test_no_limbo import payloads

ORDERS = ("o1", "o2", "o3")

_BEGIN_AN_ATTEMPT = frozenset({E.ORDER_REISSUED, E.ORDER_ADOPTED})


class Histories(RuleBasedStateMachine):
    """The model keeps of each order only its phase and attempt, moved by the table."""

    url = ""
    keys = Path()

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.runner.run(self._open())
        self.model: dict[str, tuple[OrderPhase, int]] = {}
        self.accepted: list[tuple[Service, NewEvent]] = []
        self.count = 0

    async def _open(self) -> None:
        connection = await asyncpg.connect(self.url)
        await connection.execute("drop schema public cascade; create schema public")
        await connection.close()
        self._context = open_ledger(self.url, self.keys, checkpoint_events=5)
        self.ledger: Ledger = await self._context.__aenter__()
        created = p.RunCreated(user_id="u", objective="x")
        await self._append(Service.CO, new_event(E.RUN_CREATED, created, run_id="r", theater_id="t"))

    async def _append(self, source: Service, *events: NewEvent) -> None:
        await self.ledger.appender.append(source, list(events))

    def teardown(self) -> None:
        self.runner.run(self._check_whole())
        self.runner.run(self._context.__aexit__(None, None, None))
        self.runner.close()

    async def _check_whole(self) -> None:
        assert (await audit.verify(self.ledger.store, self.ledger.signer.public_key)).ok
        assert (await audit.rebuild(self.ledger.store)).differing == []
        run = (await self.ledger.reader.run("r", None)).run
        open_orders = sum(phase not in TERMINAL_PHASES for phase, _ in self.model.values())
        assert (run.orders_total, run.orders_open) == (len(self.model), open_orders)

    @rule(order_id=st.sampled_from(ORDERS))
    def create(self, order_id: str) -> None:
        order = Order(order_id=order_id, run_id="r", theater_id="t", type="draft", objective="x")
        event = new_event(
            E.ORDER_CREATED, p.OrderCreated(order=order, title="t"), run_id="r", order_id=order_id
        )
        try:
            self.runner.run(self._append(Service.CO, event))
        except Conflict:
            assert order_id in self.model
        else:
            assert order_id not in self.model
            self.model[order_id] = (OrderPhase.PLANNED, 1)

    @rule(
        order_id=st.sampled_from(ORDERS),
        kind=st.sampled_from(sorted(ORDER_TRANSITIONS)),
        shift=st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1]),
        variant=st.integers(0, 1),
        unit=st.sampled_from(["u1", "u1", "u1", "u2"]),
    )
    def happen(self, order_id: str, kind: E, shift: int, variant: int, unit: str) -> None:
        phase, attempt = self.model.get(order_id, (OrderPhase.PLANNED, 1))
        options = payloads(kind, max(1, attempt + shift))
        payload = options[variant % len(options)]
        if isinstance(payload, p.IntegrationPassed):
            payload = p.IntegrationPassed(attempt=payload.attempt, merge_commit=MERGE, onto=SHA, gates=[])
        if isinstance(payload, p.Integrated):
            payload = p.Integrated(attempt=payload.attempt, commit_sha=MERGE, mainline="main")
        final = isinstance(payload, p.OrderFailed) and payload.final
        authors = sorted(s for s in AUTHORITY if kind in AUTHORITY[s])
        source = Service.DUTY_OFFICER if final else authors[variant % len(authors)]
        self.count += 1
        event = new_event(kind, payload, order_id=order_id, unit_id=unit, event_id=f"e{self.count}")
        try:
            self.runner.run(self._append(source, event))
        except StaleAttempt:
            foreign_hand = source is Service.WORKER and phase in {OrderPhase.CLAIMED, OrderPhase.RUNNING}
            assert shift != 0 or foreign_hand or kind in _BEGIN_AN_ATTEMPT
        except Problem:
            pass  # the table or a guard refused it; what matters is that nothing changed, which the end checks
        else:
            assert order_id in self.model
            assert phase in ORDER_TRANSITIONS[kind].sources
            assert kind not in FENCED or payload.attempt == attempt  # type: ignore[attr-defined]
            reached = target_phase(kind, payload) or phase
            self.model[order_id] = (reached, attempt + 1 if kind in _BEGIN_AN_ATTEMPT else attempt)
            self.accepted.append((source, event))

    @rule()
    def repeat(self) -> None:
        """Whatever was accepted may be sent again at any time, to no effect."""
        if self.accepted:
            source, event = self.accepted[-1]
            before = self.runner.run(self.ledger.store.head())
            self.runner.run(self._append(source, event))
            assert self.runner.run(self.ledger.store.head()) == before

    @invariant()
    def snapshots_follow_the_model(self) -> None:
        for order_id, (phase, attempt) in self.model.items():
            order = self.runner.run(self.ledger.reader.order(order_id)).order
            assert (order.phase, order.attempt) == (phase, attempt)


def test_given_random_histories_when_appended_then_ledger_and_model_agree(
    postgres_url: str, keys_folder: Path
) -> None:
    async def fresh() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("drop database if exists histories with (force)")
        await connection.execute("create database histories")
        await connection.close()

    asyncio.run(fresh())
    Histories.url = postgres_url.rsplit("/", 1)[0] + "/histories"
    Histories.keys = keys_folder
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
