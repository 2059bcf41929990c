"""One unit does one order: claim, work, commit, report."""

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path

import structlog

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.model import ModelError
from ironclaw_contracts.artifacts import AAR_FILE, STATE_FILE, Aar, Order
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.endpoints.ledger import LeaseRenewal
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import Conflict, Problem, Unavailable
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.payloads import OrderClaimed, OrderFailed, OrderStarted
from ironclaw_worker.causes import cause_of
from ironclaw_worker.drill import DrillExecutor, Vanished, commit_fault, planted_fault
from ironclaw_worker.executor import Executor
from ironclaw_worker.lease import Hold, LeaseKeeper, LeaseTaken
from ironclaw_worker.material import BadMaterial, allowed_path, read_material, read_task
from ironclaw_worker.metrics import ATTEMPT_SECONDS, ATTEMPTS, UNITS_BUSY
from ironclaw_worker.report import aar, completion_events, deliverable, encode_file, state_file, unit_event

log = structlog.get_logger()

_REPORT_ATTEMPTS_MAX = 60
_REPORT_PAUSE_SECONDS_MAX = 10.0


class Unit:
    """Executes orders one after another; each gets a unit id of its own."""

    def __init__(
        self,
        ledger: LedgerClient,
        executor: Executor,
        leases: LeaseKeeper,
        *,
        lease_seconds: int,
        garrison_id: str,
    ) -> None:
        self._ledger = ledger
        self._executors: dict[str, Executor] = {DRILL: DrillExecutor()}
        self._executor = executor
        self._leases = leases
        self._lease_seconds = lease_seconds
        self._garrison_id = garrison_id

    async def execute(self, job: JobMessage) -> None:
        """Do the order that a job names.

        A job whose attempt is not to be had (claimed, superseded, cancelled) is dropped. Raises `Unavailable`
        when the ledger is away before anything was claimed, so that the queue hands the job out again.
        """
        order = (await self._ledger.order(job.order_id)).order.order
        unit_id = f"assault_{secrets.token_hex(4)}"
        try:
            await self._claim(order, job.attempt, unit_id)
        except Conflict as error:
            log.info("not claimed", order_id=job.order_id, attempt=job.attempt, reason=error.message)
            return
        renewal = LeaseRenewal(attempt=job.attempt, unit_id=unit_id, lease_seconds=self._lease_seconds)
        try:
            with UNITS_BUSY.track_inprogress():
                async with self._leases.held(job.order_id, renewal) as hold:
                    with ATTEMPT_SECONDS.labels(self._executor_of(order).name).time():
                        events = await self._work(order, job, unit_id, hold)
                    await self._report(events)
        except Vanished:
            log.warning("vanished, as the drill asks", order_id=job.order_id, attempt=job.attempt)
        except LeaseTaken:
            log.warning("stopped: the attempt was superseded", order_id=job.order_id, attempt=job.attempt)
        except asyncio.CancelledError:
            lost = OrderFailed(attempt=job.attempt, cause=Cause.LOST_UNIT, reason="the worker is stopping")
            await self._report([self._event(EventType.ORDER_FAILED, lost, order, unit_id)], attempts_max=1)
            raise

    async def _claim(self, order: Order, attempt: int, unit_id: str) -> None:
        claimed = OrderClaimed(attempt=attempt, lease_seconds=self._lease_seconds)
        started = OrderStarted(attempt=attempt, executor=self._executor_of(order).name)
        await self._ledger.append_all(
            [
                self._event(EventType.ORDER_CLAIMED, claimed, order, unit_id),
                self._event(EventType.ORDER_STARTED, started, order, unit_id),
            ]
        )

    def _executor_of(self, order: Order) -> Executor:
        return self._executors.get(order.type, self._executor)

    async def _work(self, order: Order, job: JobMessage, unit_id: str, hold: Hold) -> list[NewEvent]:
        """Return the events that report the outcome, good or bad."""
        seconds = order.constraints.budget_seconds
        try:
            async with asyncio.timeout(seconds):
                delivered = await self._deliver(order, job, unit_id, hold)
                ATTEMPTS.labels(self._executor_of(order).name, "completed").inc()
                return delivered
        except TimeoutError:
            cause, reason = Cause.TASK, f"the budget of {seconds} s is spent"
        except ModelError as error:
            cause, reason = error.cause, str(error)
        except BadMaterial as error:
            cause, reason = Cause.TASK, str(error)
        except (ironclaw_git.GitError, OSError) as error:
            standing = await asyncio.to_thread(Path(job.worktree_path).is_dir)
            cause, reason = cause_of(error, worktree_stands=standing), f"{type(error).__name__}: {error}"
        ATTEMPTS.labels(self._executor_of(order).name, cause).inc()
        log.warning(
            "attempt failed", order_id=order.order_id, attempt=job.attempt, cause=cause, reason=reason
        )
        failed = OrderFailed(attempt=job.attempt, cause=cause, reason=reason[:2000])
        return [self._event(EventType.ORDER_FAILED, failed, order, unit_id)]

    async def _deliver(self, order: Order, job: JobMessage, unit_id: str, hold: Hold) -> list[NewEvent]:
        worktree = Path(job.worktree_path)
        material = await asyncio.to_thread(read_material, worktree, order)
        task = await asyncio.to_thread(read_task, worktree)
        work = await self._executor_of(order).execute(order, task, material)
        hold.progressed()
        product = deliverable(order, work)
        now = datetime.now(UTC)
        report = aar(order, work, [product.artifact], now)
        aar_bytes = encode_file(report)
        state = state_file(order, job.attempt, "reported", now)
        person = ironclaw_git.Person(unit_id, f"{unit_id}@ironclaw.localhost")
        fault = planted_fault(order, job.attempt)
        if fault is not None:
            report, aar_bytes, claimed = await commit_fault(fault, worktree, product, report, person)
            return self._completion(order, job, unit_id, report, aar_bytes, claimed)
        allowlist = order.constraints.tool_policy.fs_allowlist

        def write() -> None:
            target = allowed_path(worktree.resolve(), product.artifact.path, allowlist)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(product.content)
            (worktree / AAR_FILE).write_bytes(aar_bytes)
            (worktree / STATE_FILE).write_bytes(state)

        await asyncio.to_thread(write)
        commit_sha = await ironclaw_git.commit_all(
            worktree,
            f"{order.type}: {work.summary[:72]}\n\nOrder: {order.order_id}\nUnit: {unit_id}",
            person,
        )
        hold.progressed()
        return self._completion(order, job, unit_id, report, aar_bytes, commit_sha)

    def _completion(
        self, order: Order, job: JobMessage, unit_id: str, report: Aar, aar_bytes: bytes, commit_sha: str
    ) -> list[NewEvent]:
        return completion_events(
            order,
            report,
            aar_bytes,
            attempt=job.attempt,
            unit_id=unit_id,
            commit_sha=commit_sha,
            garrison_id=self._garrison_id,
        )

    async def _report(self, events: list[NewEvent], attempts_max: int = _REPORT_ATTEMPTS_MAX) -> None:
        """Append the outcome, through an outage of the ledger if need be; a refused one is dropped."""
        pause = 0.2
        for attempt in range(1, attempts_max + 1):
            try:
                await self._ledger.append_all(events)
                return
            except Unavailable as error:
                log.warning("outcome not reported yet", tries=attempt, reason=error.message)
            except Problem as error:
                log.warning("outcome refused", order_id=events[0].order_id, reason=error.message)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _REPORT_PAUSE_SECONDS_MAX)

    def _event(
        self, kind: EventType, payload: OrderClaimed | OrderStarted | OrderFailed, order: Order, unit_id: str
    ) -> NewEvent:
        return unit_event(kind, payload, order, unit_id, garrison_id=self._garrison_id)
