"""Collisions are foreseen while the units still work, tried once, shown, and told."""

from pathlib import Path

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import integration
from ironclaw_contracts.endpoints.ledger import EscalationsQuery
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Person, commit_all
from tests.support.fleet import FleetUnderTest
from tests.support.suites import GATES, PACKAGE, only_order, open_theater, order_work
from tests.support.units import claim
from tests.support.waiting import until

_UNIT = Person("Unit", "unit@fleet.example")
_TEXT = "".join(f"line {n}\n" for n in range(40))


async def commit(order: OrderSnapshot, path: str, text: str) -> None:
    assert order.worktree is not None
    tree = Path(order.worktree.path)
    (tree / path).write_text(text)
    await commit_all(tree, "Work in progress", _UNIT)


async def test_given_branches_that_move_when_looked_at_then_clear_soft_and_hot_are_told_apart_and_tried_once(
    idle_fleet: FleetUnderTest, tmp_path: Path
) -> None:
    async with idle_fleet.client() as client, idle_fleet.as_service(Service.WORKER) as worker:
        theater = await open_theater(client, tmp_path, GATES, {**PACKAGE, "book.txt": _TEXT})
        orders: list[OrderSnapshot] = []
        for _ in range(4):
            run_id = await order_work(client, theater, {})
            orders.append(await only_order(client, run_id, OrderPhase.ENQUEUED))
        for order in orders:
            await claim(worker, order)
        first, second, third, fourth = orders
        calm = await client.call(api.GET_WEATHER, theater_id=theater)
        assert (calm.state, calm.branches, calm.tried) == ("clear", [], 0)
        await commit(first, "book.txt", _TEXT.replace("line 1\n", "LINE 1\n"))
        await commit(second, "book.txt", _TEXT.replace("line 35\n", "LINE 35\n"))
        await commit(third, "book.txt", _TEXT.replace("line 1\n", "Line One\n"))
        await commit(fourth, "other.txt", "something else\n")
        async with idle_fleet.as_service(Service.API_GATEWAY) as gateway:
            seen = await gateway.call(integration.GET_WEATHER, theater_id=theater)
        met = {(pair.first, pair.second): pair.state for pair in seen.pairs}
        assert met == {
            (first.order_id, second.order_id): "soft",
            (first.order_id, third.order_id): "hot",
            (second.order_id, third.order_id): "soft",
        }
        assert (seen.state, seen.pairs_clear) == ("hot", 3)
        assert {branch.state for branch in seen.branches} == {"clear"}
        again = await client.call(api.GET_WEATHER, theater_id=theater)
        assert (again.pairs, again.tried) == (seen.pairs, 0)
        await commit(third, "task.md", "the fleet's own file, never merged\n")
        assert (await client.call(api.GET_WEATHER, theater_id=theater)).tried == 0
        await commit(first, "book.txt", _TEXT.replace("line 20\n", "LINE 20\n"))
        moved = await client.call(api.GET_WEATHER, theater_id=theater)
        assert moved.tried <= 2 and {pair.state for pair in moved.pairs} == {"soft"}

        async def told() -> bool | None:
            raised = (await client.call(api.LIST_ESCALATIONS, query=EscalationsQuery())).escalations
            found = [one for one in raised if one.subject == f"weather:{third.order_id}"]
            return bool(found and "book.txt" in found[0].reason) or None

        await commit(first, "book.txt", _TEXT.replace("line 1\n", "LINE 1\n"))
        await until(told, 40, "being told of the collision")
        shown = idle_fleet.cli("weather", theater)
        assert f"{third.order_id}\t{first.order_id}\thot\tbook.txt" in shown
