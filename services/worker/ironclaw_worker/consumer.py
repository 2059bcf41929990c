"""Take jobs from the queue with arq, inside this process's event loop, for as long as the service lives."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from arq.worker import Retry, Worker, func

from ironclaw_chassis.queue import HINTS, JOB_FUNCTION, deserialize_job, redis_settings, serialize_job
from ironclaw_chassis.tracing import span
from ironclaw_contracts.errors import NotFound, Unavailable
from ironclaw_contracts.jobs import QUEUE_NAME, JobMessage
from ironclaw_worker.unit import Unit

if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

log = structlog.get_logger()

# Budgets bound a unit's time; arq's own timeout only has to be longer than any of them.
_JOB_SECONDS_MAX = 2 * 86_400
_TRIES_MAX = 1_000
_RESTART_SECONDS = (0.2, 5.0)
_SILENT_SECONDS = 5.0  # of Redis, after which the connection is opened anew


class HintedWorker(Worker):
    """arq's worker, which looks at the queue when there is a hint rather than all the time.

    How a job is taken stays arq's. A hint that is lost, and a job that was put back for later, are found by
    looking every `look_seconds` all the same. A hint goes to one consumer, and only to one with room.
    """

    def __init__(self, look_seconds: float, **options: Any) -> None:
        super().__init__(**options, poll_delay=0)
        self._look_seconds = look_seconds
        self._room = asyncio.Event()

    async def _poll_iteration(self) -> None:
        await super()._poll_iteration()
        if self.job_counter < self.max_jobs:
            # A connection that was cut without a word would hold a bare wait for ever.
            async with asyncio.timeout(self._look_seconds + _SILENT_SECONDS):
                await self.pool.execute_command("BLPOP", HINTS, self._look_seconds)
        else:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._room.wait()

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._room.set()


class Consumer:
    """Runs up to `units_max` units at once."""

    def __init__(self, unit: Unit, redis_url: str, *, units_max: int, poll_seconds: float) -> None:
        self._unit = unit
        self._redis_settings = redis_settings(redis_url)
        self._units_max = units_max
        self._poll_seconds = poll_seconds
        self.at_work = 0
        """How many units work now."""

    async def run(self) -> None:
        """Consume until cancelled. arq ends when Redis is away; it is started again, with a growing pause."""
        shortest, longest = _RESTART_SECONDS
        pause = shortest
        while True:
            worker = self._worker()
            try:
                await worker.async_run()
                pause = shortest
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("queue consumer stopped", reason=f"{type(error).__name__}: {error}", pause=pause)
            finally:
                await self._close(worker)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _worker(self) -> Worker:
        return HintedWorker(
            self._poll_seconds,
            functions=[
                func(
                    cast("WorkerCoroutine", self._execute),
                    name=JOB_FUNCTION,
                    keep_result=0,
                    timeout=_JOB_SECONDS_MAX,
                    max_tries=_TRIES_MAX,
                )
            ],
            queue_name=QUEUE_NAME,
            redis_settings=self._redis_settings,
            handle_signals=False,
            max_jobs=self._units_max,
            job_serializer=serialize_job,
            job_deserializer=deserialize_job,
            health_check_interval=3600,
        )

    async def _close(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(2):
                await worker.close()
        except Exception as error:
            log.info("queue connection not closed cleanly", reason=f"{type(error).__name__}: {error}")

    async def _execute(self, _: dict[Any, Any], raw: dict[str, Any]) -> None:
        try:
            job = msgspec.convert(raw, JobMessage)
        except msgspec.ValidationError as error:
            log.error("not a job", reason=str(error))
            return
        self.at_work += 1
        about = {"ironclaw.order_id": job.order_id, "ironclaw.attempt": job.attempt}
        try:
            with span("worker.execute", "consumer", parent=job.traceparent, attributes=about):
                await self._unit.execute(job)
        except Unavailable as error:
            log.warning("job put back", order_id=job.order_id, reason=error.message)
            raise Retry(defer=1) from error
        except NotFound as error:
            log.error("job of an unknown order", order_id=job.order_id, reason=error.message)
        finally:
            self.at_work -= 1
