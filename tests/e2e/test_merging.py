"""Merging: conflicts, users' own repositories, units that lie."""

import asyncio
import hashlib
import signal
from pathlib import Path

from ironclaw_contracts.artifacts import Artifact
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import (
    AarWritten,
    ArtifactWritten,
    OrderClaimed,
    OrderCompleted,
    OrderStarted,
)
from ironclaw_contracts.snapshots import OrderSnapshot
from tests.support.fleet import FleetUnderTest
from tests.support.git import git, make_repository
from tests.support.waiting import ended, until


async def test_given_two_orders_that_write_one_file_when_merged_then_the_second_is_reissued_on_the_first(
    fleet: FleetUnderTest,
) -> None:
    inputs = {"output": "outputs/shared.md"}
    async with fleet.client() as client:
        requests = [
            api.ChatRequest(message=f"Draft version {n} of the charter", inputs=inputs, mode="async")
            for n in range(3)
        ]
        answers = await asyncio.gather(*(client.call(api.CHAT, request) for request in requests))
        views = [await ended(client, answer.run_id) for answer in answers]
    orders = [view.orders[0] for view in views]
    assert {view.run.status for view in views} <= {RunStatus.COMPLETE, RunStatus.FAILED}
    assert sum(order.phase is OrderPhase.INTEGRATED for order in orders) >= 1
    for order in orders:
        if order.attempt > 1:
            assert order.history[0].conflicts == ["outputs/shared.md"]


async def test_given_a_users_checkout_when_work_is_merged_then_it_follows_when_clean_and_waits_when_dirty(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "own", {"README.md": "mine\n"})
    async with fleet.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="own", repo_path=str(repository)))
        first = await client.call(api.CHAT, api.ChatRequest(message="Draft one", theater_hint="own"))
        assert first.status is RunStatus.COMPLETE, first.reason
        assert (repository / first.artifacts[0].path).exists()

        (repository / "README.md").write_text("edited by hand\n")
        request = api.ChatRequest(message="Draft two", theater_hint="own", mode="async")
        second = await client.call(api.CHAT, request)

        async def held() -> OrderSnapshot | None:
            orders = (await client.call(api.GET_RUN, run_id=second.run_id)).orders
            return orders[0] if orders and orders[0].phase is OrderPhase.HELD else None

        order = await until(held, what="the hold")
        assert order.hold is not None and "README.md" in order.hold
        assert (repository / "README.md").read_text() == "edited by hand\n"
        why = await client.call(api.WHY_ORDER, order_id=order.order_id)
        assert (why.blocker, why.owner) == ("merge_held", Service.INTEGRATION)

        git(repository, "checkout", "-q", "README.md")
        view = await ended(client, second.run_id)
    assert view.run.status is RunStatus.COMPLETE
    assert (repository / view.run.artifacts[0].path).exists()


async def test_given_a_unit_that_lies_when_it_reports_then_nothing_is_merged_and_the_order_is_done_again(
    spare: FleetUnderTest,
) -> None:
    spare.kill(Service.WORKER, signal.SIGSTOP)
    async with spare.client() as client, spare.as_service(Service.WORKER) as worker:
        request = api.ChatRequest(message="Draft the truth", mode="async")
        run_id = (await client.call(api.CHAT, request)).run_id

        async def enqueued() -> OrderSnapshot | None:
            orders = (await client.call(api.GET_RUN, run_id=run_id)).orders
            return orders[0] if orders and orders[0].phase is OrderPhase.ENQUEUED else None

        order = await until(enqueued, what="the enqueueing")
        await _lie(worker, order)

        async def reissued() -> OrderSnapshot | None:
            found = (await client.call(api.GET_ORDER, order_id=order.order_id)).order
            return found if found.attempt == 2 else None

        again = await until(reissued, what="the reissue")
        assert "is not on the order's branch" in again.history[0].reason
        spare.kill(Service.WORKER, signal.SIGCONT)
        view = await ended(client, run_id)
    assert view.run.status is RunStatus.COMPLETE
    assert view.orders[0].attempt == 2


async def _lie(worker: object, order: OrderSnapshot) -> None:
    """Report a commit and an artifact that do not exist."""
    names = {"order_id": order.order_id, "unit_id": "assault_liar"}
    artifact = Artifact(path="outputs/none.md", sha256=hashlib.sha256(b"").hexdigest(), size=0)
    aar = AarWritten(path="aar.json", sha256="0" * 64, status="completed", summary="all done, trust me")
    events = [
        new_event(EventType.ORDER_CLAIMED, OrderClaimed(), **names),
        new_event(EventType.ORDER_STARTED, OrderStarted(), **names),
        new_event(EventType.ARTIFACT_WRITTEN, ArtifactWritten(artifact=artifact), **names),
        new_event(EventType.AAR_WRITTEN, aar, **names),
        new_event(EventType.ORDER_COMPLETED, OrderCompleted(commit_sha="a" * 40), **names),
    ]
    await worker.call(ledger.APPEND_BATCH, ledger.Batch(events=events))  # type: ignore[attr-defined]
