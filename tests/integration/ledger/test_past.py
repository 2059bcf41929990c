"""As of any event, what is read is what was read then; and the past needs nothing but the events."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints.ledger_proof import MainlinesQuery
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from ironclaw_ledger import audit
from ironclaw_ledger.parts import Ledger
from tests.support.ledger import MERGE, SHA, Scribe


def as_bytes(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


async def seen_now(ledger: Ledger) -> dict[str, bytes]:
    """Everything that can be read of runs and orders, without leases, which are no facts."""
    runs = await ledger.reader.runs(api.RunsQuery(limit=1_000))
    orders = await ledger.reader.orders(api.OrdersQuery(limit=1_000))
    found = {"runs": as_bytes(runs), "orders": as_bytes(orders.orders)}
    for run in runs.runs:
        found[f"run {run.run_id}"] = as_bytes(await ledger.reader.run(run.run_id))
    for order in orders.orders:
        found[f"order {order.order_id}"] = as_bytes((await ledger.reader.order(order.order_id)).order)
    return found


async def seen_then(ledger: Ledger, as_of: str) -> dict[str, bytes]:
    runs = await ledger.reader.runs(api.RunsQuery(limit=1_000, as_of=as_of))
    orders = await ledger.reader.orders(api.OrdersQuery(limit=1_000, as_of=as_of))
    found = {"runs": as_bytes(runs), "orders": as_bytes(orders.orders)}
    for run in runs.runs:
        found[f"run {run.run_id}"] = as_bytes(await ledger.reader.run(run.run_id, as_of))
    for order in orders.orders:
        found[f"order {order.order_id}"] = as_bytes((await ledger.reader.order(order.order_id, as_of)).order)
    return found


async def two_runs(ledger: Ledger) -> dict[int, dict[str, bytes]]:
    """Two runs through all phases, step by step; what was read after each step, by seq."""
    recorded: dict[int, dict[str, bytes]] = {}

    async def note() -> None:
        recorded[(await ledger.store.head())[0]] = await seen_now(ledger)

    for number in (1, 2):
        scribe = Scribe(ledger, f"run-{number}", f"order-{number}")
        for step in (
            scribe.begin,
            scribe.dispatch,
            scribe.claim,
            scribe.complete,
            scribe.integrate,
            lambda scribe=scribe: scribe.of_run(E.RUN_COMPLETED, p.RunCompleted(reply="done")),
        ):
            await step()
            await note()
    return recorded


async def test_given_a_history_when_read_as_of_each_step_then_it_is_what_was_read_then(
    ledger: Ledger,
) -> None:
    recorded = await two_runs(ledger)
    assert len(recorded) == 12
    for seq, seen in recorded.items():
        assert await seen_then(ledger, str(seq)) == seen, seq


async def test_given_the_projections_dropped_when_replayed_then_every_hash_is_the_same(
    ledger: Ledger, database_url: str
) -> None:
    recorded = await two_runs(ledger)
    before = await audit.rebuild(ledger.store)
    assert before.differing == []
    connection = await asyncpg.connect(database_url)
    await connection.execute("truncate runs, orders, escalations, leases, leads")
    await connection.close()
    head = max(recorded)
    assert await seen_then(ledger, str(head)) == recorded[head]  # from the events alone
    after = await audit.rebuild(ledger.store)
    assert after.state_sha256 == before.state_sha256 and after.differing == [
        "order-1",
        "order-2",
        "run-1",
        "run-2",
    ]
    assert await seen_now(ledger) == recorded[head]
    assert (await audit.rebuild(ledger.store)).differing == []


async def test_given_filters_and_pages_when_read_as_of_then_they_are_judged_by_the_state_then(
    ledger: Ledger,
) -> None:
    seqs = []
    for number in range(7):
        scribe = Scribe(ledger, f"run-{number}", f"order-{number}")
        await scribe.begin()
        seqs.append((await ledger.store.head())[0])
    all_open = str(seqs[-1])
    for number in range(0, 7, 2):
        scribe = Scribe(ledger, f"run-{number}", f"order-{number}")
        await scribe.of_order(Service.CO, E.ORDER_CANCELLED, p.OrderCancelled(reason="x"))
        await scribe.of_run(E.RUN_FAILED, p.RunEnded(reason="x"))
    head = str((await ledger.store.head())[0])

    async def open_runs(as_of: str) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            query = api.RunsQuery(status=RunStatus.OPEN, limit=2, cursor=cursor, as_of=as_of)
            page = await ledger.reader.runs(query)
            found += [run.run_id for run in page.runs]
            if (cursor := page.next_cursor) is None:
                return found

    assert await open_runs(all_open) == [f"run-{n}" for n in range(6, -1, -1)]
    assert await open_runs(head) == ["run-5", "run-3", "run-1"]
    assert await open_runs(str(seqs[2])) == ["run-2", "run-1", "run-0"]
    cancelled = api.OrdersQuery(phases="CANCELLED,FAILED", as_of=head, limit=10)
    assert len((await ledger.reader.orders(cancelled)).orders) == 4
    assert (await ledger.reader.orders(msgspec.structs.replace(cancelled, as_of=all_open))).orders == []
    one = api.OrdersQuery(run_id="run-3", phase=OrderPhase.PLANNED, as_of=head)
    assert [order.order_id for order in (await ledger.reader.orders(one)).orders] == ["order-3"]


async def test_given_instants_when_read_as_of_then_nothing_later_shows_even_where_senders_dated_it_back(
    ledger: Ledger,
) -> None:
    await Scribe(ledger, "run-1", "order-1").begin()
    first = (await ledger.store.head())[0]
    await asyncio.sleep(0.01)
    between = datetime.now(UTC)
    await asyncio.sleep(0.01)
    old = msgspec.structs.replace(new_event(E.PATROL_TICK, p.PatrolTick()), ts=between - timedelta(days=400))
    await Scribe(ledger, "run-2", "order-2").begin()
    await ledger.appender.append(Service.DUTY_OFFICER, [old])
    then = between.isoformat().replace("+00:00", "Z")
    runs = (await ledger.reader.runs(api.RunsQuery(as_of=then))).runs
    assert [run.run_id for run in runs] == ["run-1"]
    assert await seen_then(ledger, then) == await seen_then(ledger, str(first))
    assert (await ledger.reader.runs(api.RunsQuery(as_of="2001-01-01T00:00:00Z"))).runs == []
    with pytest.raises(NotFound, match="at seq"):
        await ledger.reader.run("run-2", then)
    with pytest.raises(NotFound, match="order-2"):
        await ledger.reader.order("order-2", then)


@pytest.mark.parametrize(
    "bad",
    [
        "99999",
        "2999-01-01T00:00:00Z",
        "yesterday",
        "-1",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "9" * 30,
        "１２",
    ],
)
async def test_given_a_point_that_is_none_when_read_as_of_then_the_error_names_the_parameter(
    ledger: Ledger, bad: str
) -> None:
    await Scribe(ledger).begin()
    with pytest.raises(BadRequest, match="as_of"):
        await ledger.reader.runs(api.RunsQuery(as_of=bad))


async def test_given_merges_when_mainlines_are_asked_as_of_then_the_newest_merge_speaks(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    with_nothing = str((await ledger.store.head())[0])
    await scribe.dispatch()
    begun = str((await ledger.store.head())[0])
    await scribe.claim()
    await scribe.complete()
    await scribe.integrate()
    merged = str((await ledger.store.head())[0])
    assert (await ledger.reader.mainlines(MainlinesQuery(as_of=with_nothing))).mainlines == []
    [at_first] = (await ledger.reader.mainlines(MainlinesQuery(as_of=begun))).mainlines
    assert (at_first.theater_id, at_first.commit) == ("t", SHA)
    [now] = (await ledger.reader.mainlines(MainlinesQuery(as_of=merged, theater_id="t"))).mainlines
    assert now.commit == MERGE and str(now.seq) == merged
    assert (await ledger.reader.mainlines(MainlinesQuery(as_of=merged, theater_id="other"))).mainlines == []


async def test_given_a_waiting_order_when_asked_why_as_of_then_it_says_what_it_waited_for(
    ledger: Ledger,
) -> None:
    scribe = Scribe(ledger)
    await scribe.begin()
    await scribe.dispatch()
    waiting = str((await ledger.store.head())[0])
    await scribe.claim()
    await scribe.complete()
    await scribe.integrate()
    assert (await ledger.reader.why_order("order-1", waiting)).blocker == "awaiting_unit"
    assert (await ledger.reader.why_run("run-1", waiting)).owner == Service.WORKER
    assert (await ledger.reader.why_order("order-1")).terminal
