"""A ledger of the test's own, in this process, on a real database; and a scribe that writes plausible histories."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from ironclaw_chassis.database import migrate
from ironclaw_chassis.secret import Secret
from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Artifact, Order
from ironclaw_contracts.endpoints.ledger import Appended
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import new_event
from ironclaw_contracts.plan import Extraction, Plan, Task
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.settings import Settings

SHA = "a" * 40
MERGE = "b" * 40


@asynccontextmanager
async def open_ledger(
    url: str, keys: Path, *, migrated: bool = True, **changes: Any
) -> AsyncIterator[Ledger]:
    """Open a ledger on a database."""
    if migrated:
        await migrate(url, files("ironclaw_ledger") / "migrations")
    ledger = Ledger(Settings(database_url=Secret(url), keys_dir=str(keys), **changes))
    async with ledger.open():
        yield ledger


class Scribe:
    """Writes the events of one run with one order, a step at a time."""

    def __init__(self, ledger: Ledger, run_id: str = "run-1", order_id: str = "order-1") -> None:
        self.ledger = ledger
        self.run_id, self.order_id = run_id, order_id
        self.unit = "assault_1"

    async def write(self, source: Service, kind: E, payload: p.Payload, **ids: Any) -> Appended:
        """Append one event."""
        event = new_event(kind, payload, **ids)
        return (await self.ledger.appender.append(source, [event]))[0]

    async def of_run(self, kind: E, payload: p.Payload) -> Appended:
        """Append an event of the run, as co."""
        return await self.write(Service.CO, kind, payload, run_id=self.run_id, theater_id="t")

    async def of_order(
        self, source: Service, kind: E, payload: p.Payload, unit: str | None = None
    ) -> Appended:
        """Append an event of the order."""
        return await self.write(source, kind, payload, order_id=self.order_id, unit_id=unit)

    async def begin(self, *order_ids: str, depends_on: dict[str, list[str]] | None = None) -> None:
        """Create the run, its plan and its orders."""
        await self.of_run(E.RUN_CREATED, p.RunCreated(user_id="u", objective="x"))
        ids = order_ids or (self.order_id,)
        tasks = [Task(order_id, "draft", "t", (depends_on or {}).get(order_id, [])) for order_id in ids]
        plan = Plan(1, "x", [], tasks, Extraction([ids[-1]], "x"), "draft", "playbook")
        await self.of_run(E.RUN_UPDATED, p.RunUpdated(plan=plan))
        for task in tasks:
            order = Order(
                order_id=task.order_id, run_id=self.run_id, theater_id="t", type="draft", objective="x"
            )
            created = p.OrderCreated(order=order, title="t", depends_on=task.depends_on)
            event = new_event(E.ORDER_CREATED, created, run_id=self.run_id, order_id=task.order_id)
            await self.ledger.appender.append(Service.CO, [event])

    async def dispatch(self, attempt: int = 1, contains: list[str] | None = None) -> None:
        """Give the order its worktree and enqueue it."""
        created = p.WorktreeCreated(
            attempt=attempt, path="/w", branch="b", base_commit=SHA, contains=contains or []
        )
        await self.of_order(Service.VAULT, E.WORKTREE_CREATED, created)
        await self.of_order(Service.VAULT, E.WORKTREE_READY, p.WorktreeReady(attempt=attempt, path="/w"))
        enqueued = p.OrderEnqueued(attempt=attempt, base_commit=SHA)
        await self.of_order(Service.CO, E.ORDER_ENQUEUED, enqueued)

    async def claim(self, attempt: int = 1, lease_seconds: int = 15) -> None:
        """Have the unit claim and start."""
        claimed = p.OrderClaimed(attempt=attempt, lease_seconds=lease_seconds)
        await self.of_order(Service.WORKER, E.ORDER_CLAIMED, claimed, self.unit)
        await self.of_order(Service.WORKER, E.ORDER_STARTED, p.OrderStarted(attempt=attempt), self.unit)

    async def complete(self, attempt: int = 1) -> None:
        """Have the unit report."""
        artifact = Artifact(path="outputs/a.md", sha256="0" * 64, size=1)
        reported = p.AarWritten(
            attempt=attempt, path="aar.json", sha256="0" * 64, status="completed", summary="s"
        )
        unit = self.unit
        written = p.ArtifactWritten(attempt=attempt, artifact=artifact)
        await self.of_order(Service.WORKER, E.ARTIFACT_WRITTEN, written, unit)
        await self.of_order(Service.WORKER, E.AAR_WRITTEN, reported, unit)
        completed = p.OrderCompleted(attempt=attempt, commit_sha=SHA)
        await self.of_order(Service.WORKER, E.ORDER_COMPLETED, completed, unit)

    async def integrate(self, attempt: int = 1) -> None:
        """Have the order validated, gated and merged."""
        ready = p.IntegrationReady(attempt=attempt, commit_sha=SHA)
        await self.of_order(Service.OBSERVER, E.INTEGRATION_READY, ready)
        started = p.IntegrationStarted(attempt=attempt, commit_sha=SHA)
        await self.of_order(Service.INTEGRATION, E.INTEGRATION_STARTED, started)
        passed = p.IntegrationPassed(attempt=attempt, merge_commit=MERGE, onto=SHA, gates=[])
        await self.of_order(Service.INTEGRATION, E.INTEGRATION_PASSED, passed)
        done = p.Integrated(attempt=attempt, commit_sha=MERGE, mainline="main")
        await self.of_order(Service.INTEGRATION, E.INTEGRATED, done)

    async def order(self) -> OrderSnapshot:
        """Return the order as it stands."""
        return (await self.ledger.reader.order(self.order_id)).order
