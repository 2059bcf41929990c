"""One unit does one order: claim, work, commit, report."""

import asyncio
import secrets

import structlog

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.model import ModelError
from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.endpoints.ledger import LeaseRenewal
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import Conflict, Problem, Unavailable
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.payloads import AttemptPayload, OrderClaimed, OrderFailed, OrderStarted
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_worker.causes import cause_of
from ironclaw_worker.delivery import deliver_text, deliver_tree
from ironclaw_worker.drill import DrillExecutor, Vanished
from ironclaw_worker.executor import Assignment, Executor, TreeExecutor, WorkFailed
from ironclaw_worker.lease import Hold, LeaseKeeper, LeaseTaken
from ironclaw_worker.material import BadMaterial
from ironclaw_worker.metrics import ATTEMPT_SECONDS, ATTEMPTS, UNITS_BUSY
from ironclaw_worker.report import completion_events, unit_event
from ironclaw_worker.workspace import Place, Workspace

log = structlog.get_logger()

_REPORT_ATTEMPTS_MAX = 60
_REPORT_PAUSE_SECONDS_MAX = 10.0


class Unit:
    """Executes orders one after another; each gets a unit id of its own."""

    def __init__(
        self,
        ledger: LedgerClient,
        writer: Executor,
        tree_executors: list[TreeExecutor],
        leases: LeaseKeeper,
        workspace: Workspace,
        *,
        lease_seconds: int,
        garrison_id: str,
    ) -> None:
        self._ledger = ledger
        self._writers: dict[str, Executor] = {DRILL: DrillExecutor()}
        self._writer = writer
        self._tree_executors = {executor.name: executor for executor in tree_executors}
        self._leases = leases
        self._workspace = workspace
        self._lease_seconds = lease_seconds
        self._garrison_id = garrison_id

    async def execute(self, job: JobMessage) -> None:
        """Do the order that a job names.

        A job whose attempt is not to be had (claimed, superseded, cancelled) is dropped. Raises `Unavailable`
        when the ledger is away before anything was claimed, so that the queue hands the job out again.
        """
        unit_id = f"assault_{secrets.token_hex(4)}"
        try:
            snapshot = await self._claim(job, unit_id)
        except Conflict as error:
            log.info("not claimed", order_id=job.order_id, attempt=job.attempt, reason=error.message)
            return
        order = snapshot.order
        renewal = LeaseRenewal(attempt=job.attempt, unit_id=unit_id, lease_seconds=self._lease_seconds)
        try:
            with UNITS_BUSY.track_inprogress():
                async with self._leases.held(job.order_id, renewal) as hold:
                    with ATTEMPT_SECONDS.labels(self._executor_name(order.type)).time():
                        events = await self._work(snapshot, job, unit_id, hold)
                    await self._report(events)
        except Vanished:
            log.warning("vanished, as the drill asks", order_id=job.order_id, attempt=job.attempt)
        except LeaseTaken:
            log.warning("stopped: the attempt was superseded", order_id=job.order_id, attempt=job.attempt)
        except asyncio.CancelledError:
            lost = OrderFailed(attempt=job.attempt, cause=Cause.LOST_UNIT, reason="the worker is stopping")
            await self._report([self._event(EventType.ORDER_FAILED, lost, order, unit_id)], attempts_max=1)
            raise

    async def _claim(self, job: JobMessage, unit_id: str) -> OrderSnapshot:
        """Claim an attempt and return its order: the job says which, the ledger what."""
        task_type = job.task_type or (await self._ledger.order(job.order_id)).order.order.type
        claimed = OrderClaimed(attempt=job.attempt, lease_seconds=self._lease_seconds)
        started = OrderStarted(attempt=job.attempt, executor=self._executor_name(task_type))
        seen = await self._ledger.append_and_see(
            [
                self._event(EventType.ORDER_CLAIMED, claimed, job, unit_id),
                self._event(EventType.ORDER_STARTED, started, job, unit_id),
            ]
        )
        return seen.orders[0]

    def _writer_of(self, task_type: str) -> Executor:
        return self._writers.get(task_type, self._writer)

    def _executor_name(self, task_type: str) -> str:
        changing = self._tree_executors.get(task_type)
        return changing.name if changing is not None else self._writer_of(task_type).name

    async def _work(
        self, snapshot: OrderSnapshot, job: JobMessage, unit_id: str, hold: Hold
    ) -> list[NewEvent]:
        """Return the events that report the outcome, good or bad."""
        order = snapshot.order
        seconds = order.constraints.budget_seconds
        place: Place | None = None
        try:
            async with asyncio.timeout(seconds), self._workspace.opened(job, unit_id) as place:
                delivered = await self._deliver(snapshot, job, unit_id, hold, place)
            ATTEMPTS.labels(self._executor_name(order.type), "completed").inc()
            return delivered
        except TimeoutError:
            cause, reason = Cause.TASK, f"the budget of {seconds} s is spent"
        except (ModelError, WorkFailed) as error:
            cause, reason = error.cause, str(error)
        except Problem as error:
            cause, reason = Cause.LOST_UNIT, f"another service: {error.message}"
        except BadMaterial as error:
            cause, reason = Cause.TASK, str(error)
        except (ironclaw_git.GitError, OSError) as error:
            standing = place is not None and await asyncio.to_thread(place.path.is_dir)
            cause, reason = cause_of(error, worktree_stands=standing), f"{type(error).__name__}: {error}"
        ATTEMPTS.labels(self._executor_name(order.type), cause).inc()
        log.warning(
            "attempt failed", order_id=order.order_id, attempt=job.attempt, cause=cause, reason=reason
        )
        failed = OrderFailed(attempt=job.attempt, cause=cause, reason=reason[:2000])
        return [self._event(EventType.ORDER_FAILED, failed, order, unit_id)]

    async def _deliver(
        self, order: OrderSnapshot, job: JobMessage, unit_id: str, hold: Hold, place: Place
    ) -> list[NewEvent]:
        assignment = Assignment(
            order=order.order,
            attempt=job.attempt,
            unit_id=unit_id,
            worktree=place.path,
            base_commit=order.worktree.base_commit if order.worktree else "",
            lost_attempt=_lost_attempt(order),
            progressed=hold.progressed,
        )
        changing = self._tree_executors.get(order.order.type)
        done = (
            await deliver_tree(assignment, changing)
            if changing is not None
            else await deliver_text(assignment, self._writer_of(order.order.type))
        )
        hold.progressed()
        await place.deliver(done.commit_sha)
        return completion_events(
            order.order,
            done.report,
            done.report_bytes,
            attempt=job.attempt,
            unit_id=unit_id,
            commit_sha=done.commit_sha,
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
        self, kind: EventType, payload: AttemptPayload, of: Order | JobMessage, unit_id: str
    ) -> NewEvent:
        return unit_event(kind, payload, of, unit_id, garrison_id=self._garrison_id)


def _lost_attempt(order: OrderSnapshot) -> int | None:
    last = order.history[-1] if order.history else None
    return last.attempt if last is not None and last.cause is not Cause.TASK else None
