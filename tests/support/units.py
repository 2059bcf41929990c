"""Units that do what a test says, in real worktrees and through the real ledger; the fleet's own stand still."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import AAR_FILE, Aar, Artifact
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import (
    AarWritten,
    ArtifactWritten,
    OrderClaimed,
    OrderCompleted,
    OrderStarted,
)
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Person, commit_all
from tests.support.fleet import FleetUnderTest

Edit = Callable[[OrderSnapshot, Path], None]
Report = Callable[[OrderSnapshot, Aar], Aar]
UNIT_ID = "assault_scripted"
_UNIT = Person("Unit", "unit@fleet.example")
_PAUSE_SECONDS = 0.1


@contextlib.asynccontextmanager
async def scripted_units(
    fleet: FleetUnderTest, edit: Edit, report: Report = lambda _, aar: aar
) -> AsyncIterator[None]:
    """Do every order by calling `edit` with it and its worktree, and report it as `report` says.

    The fleet's workers must not run: stop them with SIGSTOP before.
    """
    async with fleet.as_service(Service.WORKER) as worker:
        task = asyncio.create_task(_work(worker, edit, report))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _work(worker: ServiceClient, edit: Edit, report: Report) -> None:
    query = ledger.OrdersQuery(phase=OrderPhase.ENQUEUED, limit=200)
    while True:
        with contextlib.suppress(Problem):
            for order in (await worker.call(ledger.LIST_ORDERS, query=query)).orders:
                with contextlib.suppress(Problem):
                    await do_order(worker, order, edit, report)
        await asyncio.sleep(_PAUSE_SECONDS)


async def claim(worker: ServiceClient, order: OrderSnapshot) -> None:
    """Claim an order and start it, with a lease of a minute."""
    names = {"order_id": order.order_id, "unit_id": UNIT_ID}
    claimed = OrderClaimed(attempt=order.attempt, lease_seconds=60)
    begun = [
        new_event(EventType.ORDER_CLAIMED, claimed, **names),
        new_event(EventType.ORDER_STARTED, OrderStarted(attempt=order.attempt), **names),
    ]
    await worker.call(ledger.APPEND_BATCH, ledger.Batch(events=begun))


async def do_order(worker: ServiceClient, order: OrderSnapshot, edit: Edit, report: Report) -> None:
    """Claim one order, change its worktree, commit, and report: as a unit does."""
    assert order.worktree is not None
    tree = Path(order.worktree.path)
    names = {"order_id": order.order_id, "unit_id": UNIT_ID}
    attempt = order.attempt
    await claim(worker, order)
    before = _files(tree)
    edit(order, tree)
    after = _files(tree)
    changed = sorted(path for path, content in after.items() if before.get(path) != content)
    aar = Aar(
        order_id=order.order_id,
        status="completed",
        completed_at=datetime.now(UTC),
        summary="edited as asked",
        artifacts=[
            Artifact(path=path, sha256=hashlib.sha256(after[path]).hexdigest(), size=len(after[path]))
            for path in changed
        ],
    )
    aar = report(order, aar)
    written = msgspec.json.encode(aar)
    (tree / AAR_FILE).write_bytes(written)
    commit = await commit_all(tree, f"Do {order.title}", _UNIT)
    digest = hashlib.sha256(written).hexdigest()
    told = AarWritten(attempt=attempt, path=AAR_FILE, sha256=digest, status="completed", summary=aar.summary)
    done = [
        *(
            new_event(EventType.ARTIFACT_WRITTEN, ArtifactWritten(attempt=attempt, artifact=one), **names)
            for one in aar.artifacts
        ),
        new_event(EventType.AAR_WRITTEN, told, **names),
        new_event(EventType.ORDER_COMPLETED, OrderCompleted(attempt=attempt, commit_sha=commit), **names),
    ]
    await worker.call(ledger.APPEND_BATCH, ledger.Batch(events=done))


def _files(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and path.name != ".git" and ".git" not in path.relative_to(tree).parts
    }
