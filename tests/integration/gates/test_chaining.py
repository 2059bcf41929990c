"""Batches: who is merged on top of whom, who waits, and who must not keep the others waiting."""

import json

import msgspec

from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_integration.chaining import build_chain
from ironclaw_integration.definition import Gates
from ironclaw_integration.theaters import Mainline
from tests.integration.gates.conftest import Work
from tests.unit.integration.test_ordering import order


async def ready(work: Work, name: str, files: dict[str, str]) -> OrderSnapshot:
    report = {
        "order_id": name,
        "status": "completed",
        "completed_at": "2026-01-01T00:00:00Z",
        "summary": "done",
        "artifacts": [],
    }
    tree = await work.tree({**files, "aar.json": json.dumps(report)})
    return msgspec.structs.replace(order(name), commit_sha=tree.commit)


async def mainline(repository: Repository) -> Mainline:
    return Mainline("t", repository, await repository.mainline_head(), Gates())


async def test_given_a_batch_when_chained_then_each_goes_on_top_of_the_one_before(work: Work) -> None:
    orders = [await ready(work, name, {name: "x\n"}) for name in ("one", "two", "three")]
    here = await mainline(work.repository)
    chain = await build_chain(here, orders)
    assert [one.order.order_id for one in chain.candidates] == ["one", "two", "three"]
    # What a receipt checks: the first parent of a merge is what the order says that it was merged onto.
    merges = [one.merge.commit for one in chain.candidates]
    firsts = [(await work.repository.git("rev-parse", f"{merge}^1")).line for merge in merges]
    assert [one.onto for one in chain.candidates] == firsts == [here.head, *merges[:-1]]
    files = {entry.path for entry in await work.repository.list_files(chain.tip.commit)}
    assert files == {"one", "two", "three"}
    assert await work.repository.mainline_head() == here.head
    again = await build_chain(here, orders)
    assert again.tip == chain.tip, "the same chain made again is the same commits"


async def test_given_two_that_conflict_with_each_other_when_chained_then_the_later_waits_and_is_not_refused(
    work: Work,
) -> None:
    first, second = await ready(work, "one", {"same": "1\n"}), await ready(work, "two", {"same": "2\n"})
    chain = await build_chain(await mainline(work.repository), [first, second])
    assert [one.order for one in chain.candidates] == [first]
    assert chain.deferred == [second] and not chain.conflicting


async def test_given_orders_that_git_cannot_work_on_or_a_gate_refuses_when_chained_then_the_others_go_on(
    work: Work,
) -> None:
    good = await ready(work, "good", {"a": "a\n"})
    lost = msgspec.structs.replace(order("lost"), commit_sha="d" * 40)
    bad = await ready(work, "bad", {".ironclaw/gates.toml": "[merge]\nbatch = 1\n"})
    last = await ready(work, "last", {"b": "b\n"})
    chain = await build_chain(await mainline(work.repository), [lost, good, bad, last])
    assert [one.order for one in chain.candidates] == [good, last]
    assert [one.order_id for one, _ in chain.unworkable] == ["lost"]
    assert [one.order.order_id for one in chain.refused] == ["bad"]
