"""Budgets that cannot be overrun: reserved before, settled after, ended with the lease."""

import asyncio
import random

import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Constraints, Order
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import BadRequest, BudgetExceeded, LeaseLost, NotFound
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from ironclaw_contracts.plan import Budget, Extraction, Plan, Task
from ironclaw_contracts.spending import Account, Ceiling, SpendingKey, Spent, Worst
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import Scribe

NONE = Ceiling()


async def running(
    ledger: Ledger,
    count: int = 1,
    *,
    run: Ceiling = NONE,
    order: Ceiling = NONE,
    key: Ceiling = NONE,
    lease_seconds: int = 30,
    run_id: str = "run-1",
) -> list[Worst]:
    """Bring orders of one run into the hands of units; return a call of each at its worst."""
    created = p.RunCreated(
        user_id="u", objective="x", budget=Budget(spend=run), charged_to=SpendingKey("k1", key)
    )
    first = Scribe(ledger, run_id)
    await first.of_run(E.RUN_CREATED, created)
    names = [f"{run_id}-{number}" for number in range(count)]
    tasks = [Task(name, "draft", "t") for name in names]
    await first.of_run(
        E.RUN_UPDATED, p.RunUpdated(plan=Plan(1, "x", [], tasks, Extraction(names, "x"), "draft", "playbook"))
    )
    calls: list[Worst] = []
    for name in names:
        body = Order(
            order_id=name,
            run_id=run_id,
            theater_id="t",
            type="draft",
            objective="x",
            constraints=Constraints(spend=order),
        )
        event = new_event(
            E.ORDER_CREATED, p.OrderCreated(order=body, title="t"), run_id=run_id, order_id=name
        )
        await ledger.appender.append(Service.CO, [event])
        scribe = Scribe(ledger, run_id, name)
        await scribe.dispatch()
        await scribe.claim(lease_seconds=lease_seconds)
        calls.append(
            Worst(
                run_id=run_id,
                order_id=name,
                unit_id=scribe.unit,
                profile="executor_default",
                tokens=100,
                cost_microusd=1_000,
            )
        )
    return calls


def account(accounts: list[Account], name: str) -> Account:
    return next(one for one in accounts if one.account == name)


@pytest.mark.trust
@pytest.mark.parametrize("scope", ["run", "key"])
async def test_given_64_racing_units_when_they_spend_then_the_ceiling_is_never_passed(
    ledger: Ledger, scope: str
) -> None:
    ceilings = {scope: Ceiling(tokens=2_000, usd=0.02)}
    calls = await running(ledger, 64, **ceilings)  # type: ignore[arg-type]
    name = {"run": "run run-1", "key": "key k1"}[scope]
    seen: list[Account] = []
    chance = random.Random(7)

    async def unit(number: int, worst: Worst) -> int:
        spent = 0
        for turn in range(8):
            reservation = f"r-{number}-{turn}"
            try:
                seen.append(account(await ledger.spending.reserve(reservation, worst), name))
            except BudgetExceeded:
                continue
            await ledger.spending.mark_sent(reservation)
            await asyncio.sleep(chance.random() / 100)
            used = chance.randint(0, worst.tokens)
            await ledger.spending.settle(reservation, Spent(used, used * 10))
            spent += used
        return spent

    spent = sum(await asyncio.gather(*(unit(number, worst) for number, worst in enumerate(calls))))
    after = account(await ledger.spending.of_run("run-1"), name)
    assert (after.tokens, after.cost_microusd) == (spent, spent * 10)
    assert after.reserved_tokens == 0 and 1_000 < after.tokens <= 2_000
    assert max(one.tokens + one.reserved_tokens for one in seen) <= 2_000
    assert max(one.cost_microusd + one.reserved_cost_microusd for one in seen) <= 20_000


@pytest.mark.parametrize(
    ("ceilings", "says"),
    [
        ({"order": Ceiling(tokens=99)}, "order run-1-0: this call may take 100 tokens; 0 are spent"),
        ({"run": Ceiling(usd=0.0009)}, "run run-1: this call may cost $0.001"),
        ({"key": Ceiling(tokens=0)}, "key k1"),
    ],
    ids=["order", "run", "key"],
)
async def test_given_a_ceiling_when_a_call_could_pass_it_then_the_account_and_the_figures_are_named(
    ledger: Ledger, ceilings: dict[str, Ceiling], says: str
) -> None:
    (worst,) = await running(ledger, **ceilings)  # type: ignore[arg-type]
    with pytest.raises(BudgetExceeded) as refused:
        await ledger.spending.reserve("r", worst)
    assert says in refused.value.message and "raise its ceiling" in refused.value.message


async def test_given_a_model_without_a_price_when_dollars_are_bounded_then_it_is_refused_with_the_mend(
    ledger: Ledger,
) -> None:
    import msgspec

    (worst,) = await running(ledger, run=Ceiling(usd=1))
    with pytest.raises(BudgetExceeded, match="IRONCLAW_MODEL_PRICES_FILE"):
        await ledger.spending.reserve("r", msgspec.structs.replace(worst, cost_microusd=None))


async def test_given_a_lease_that_ran_out_when_others_spend_then_unsent_calls_are_free_and_sent_ones_charged(
    ledger: Ledger,
) -> None:
    first, second = await running(ledger, 2, run=Ceiling(tokens=200), lease_seconds=1)
    await ledger.spending.reserve("unsent", first)
    await ledger.spending.reserve("sent", second)
    await ledger.spending.mark_sent("sent")
    (other,) = await running(ledger, key=Ceiling(tokens=200), run_id="run-2")
    with pytest.raises(BudgetExceeded):
        await ledger.spending.reserve("third", other)
    await asyncio.sleep(1.05)
    standing = await ledger.spending.reserve("third", other)
    assert (account(standing, "key k1").tokens, account(standing, "key k1").reserved_tokens) == (100, 100)
    with pytest.raises(LeaseLost):
        await ledger.spending.mark_sent("unsent")
    with pytest.raises(LeaseLost):
        await ledger.spending.reserve("late", first)
    await ledger.spending.settle("sent", Spent(30, 300))
    await ledger.spending.settle("sent", Spent(30, 300))
    after = account(await ledger.spending.of_run("run-1"), "run run-1")
    assert (after.tokens, after.cost_microusd) == (30, 300)


async def test_given_a_reservation_when_made_twice_then_it_counts_once_and_strangers_are_refused(
    ledger: Ledger,
) -> None:
    import msgspec

    (worst,) = await running(ledger)
    await ledger.spending.reserve("r", worst)
    again = await ledger.spending.reserve("r", worst)
    assert account(again, "run run-1").reserved_tokens == 100
    planning = Worst(run_id="run-1", profile="planner", tokens=7, seconds=1)
    await ledger.spending.reserve("plan", planning)
    await ledger.spending.settle("plan", Spent(5, 0))
    assert account(await ledger.spending.of_run("run-1"), "run run-1").tokens == 5
    with pytest.raises(NotFound):
        await ledger.spending.reserve("x", msgspec.structs.replace(worst, order_id="none"))
    with pytest.raises(NotFound):
        await ledger.spending.of_run("none")
    await running(ledger, run_id="run-2")
    with pytest.raises(BadRequest):
        await ledger.spending.reserve("x", msgspec.structs.replace(worst, run_id="run-2"))
