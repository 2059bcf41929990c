"""Group commit: one coroutine gathers the requests that arrive while a transaction is under way.

That gives throughput, total order, gap-free reads and the hash chain in one mechanism (DESIGN, Ledger).
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import structlog
from msgspec import Struct

from ironclaw_contracts.endpoints.ledger import Appended, BatchAppended
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Internal, Problem, Unavailable
from ironclaw_contracts.events import Event, NewEvent
from ironclaw_contracts.ids import new_id
from ironclaw_ledger.append import (
    Request,
    State,
    escalations_needed,
    orders_enqueued,
    orders_needed,
    parse,
    takes_orders,
)
from ironclaw_ledger.checkpoints import CheckpointSigner
from ironclaw_ledger.metrics import APPEND_SECONDS, APPENDS_WAITING, EVENTS, GROUP_EVENTS
from ironclaw_ledger.store import Moved, Store, Transaction

log = structlog.get_logger()

_GROUP_EVENTS_MAX = 2_000


class _Waiting(Struct):
    request: Request
    new_ids: list[str]
    answer: asyncio.Future[tuple[list[Appended], State]]


class Appender:
    """Appends events for concurrent callers. `committed` hears of every group, after its commit."""

    def __init__(
        self,
        store: Store,
        signer: CheckpointSigner,
        committed: Callable[[list[Event]], None],
        queue_max: int,
    ) -> None:
        self._store = store
        self._signer = signer
        self._committed = committed
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_max)
        self._answered = 0  # requests of the last group

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve requests while the context is open."""
        task = asyncio.create_task(self._run(), name="ledger-appender")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            while not self._queue.empty():
                self._refuse([self._queue.get_nowait()], Unavailable("the ledger is stopping"))

    async def append(
        self, source: Service, events: list[NewEvent], traceparent: str | None = None
    ) -> list[Appended]:
        """Append events, all or none, and return where they stand once they are durable.

        Raises the `Problem` that refuses them, or `Unavailable` when the outcome is not known: sending the
        same events with the same ids again settles it. Events that the caller gave no id cannot be told from
        new ones, so sending those again may append them twice.
        """
        return (await self._decided(source, events, traceparent))[1]

    async def append_and_see(
        self, source: Service, events: list[NewEvent], traceparent: str | None = None
    ) -> BatchAppended:
        """Append like `append`; return the runs and orders that the events name, too, as they are then."""
        request, answers, state = await self._decided(source, events, traceparent)
        return state.seen(request, answers)

    async def _decided(
        self, source: Service, events: list[NewEvent], traceparent: str | None
    ) -> tuple[Request, list[Appended], State]:
        parsed = tuple(parse(event, source) for event in events)
        request = Request(source=source, events=parsed, traceparent=traceparent)
        answer: asyncio.Future[tuple[list[Appended], State]] = asyncio.get_running_loop().create_future()
        try:
            new_ids = ["" if event.event_id else new_id() for event in events]
            self._queue.put_nowait(_Waiting(request, new_ids, answer))
        except asyncio.QueueFull:
            raise Unavailable("the ledger has more to append than it can hold; retry in a moment") from None
        started = time.perf_counter()
        try:
            return request, *await answer
        finally:
            APPEND_SECONDS.observe(time.perf_counter() - started)

    async def _run(self) -> None:
        while True:
            group = await self._gather()
            try:
                await self._append(group)
            except asyncio.CancelledError:
                self._refuse(group, Unavailable("the ledger is stopping"))
                raise
            except Problem as error:
                self._refuse(group, error)
            except Exception as error:
                log.error("append failed", exc_info=error)
                self._refuse(
                    group, Unavailable("the append failed on our side; retry with the same event ids")
                )

    async def _gather(self) -> list[_Waiting]:
        """Return half of the callers that there seem to be: those who wait, and those answered last."""
        group = [await self._queue.get()]
        callers = len(group) + self._queue.qsize() + self._answered
        events = len(group[0].request.events)
        while len(group) * 2 < callers and events < _GROUP_EVENTS_MAX and not self._queue.empty():
            group.append(self._queue.get_nowait())
            events += len(group[-1].request.events)
        APPENDS_WAITING.set(self._queue.qsize())
        return group

    async def _append(self, group: list[_Waiting]) -> None:
        if any(takes_orders(waiting.request) for waiting in group):
            outcomes, state = await self._decide(group, self._store.appending())
        else:
            try:
                outcomes, state = await self._decide(group, self._store.hoping())
            except Moved:
                outcomes, state = await self._decide(group, self._store.appending())
        if events := [row.event for row in state.rows]:
            self._committed(events)
            GROUP_EVENTS.observe(len(events))
            for kind, count in Counter(event.type for event in events).items():
                EVENTS.labels(kind).inc(count)
        self._answered = len(group)
        for waiting, outcome in zip(group, outcomes, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(outcome, Problem):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result((outcome, state))

    async def _decide(
        self, group: list[_Waiting], appending: AbstractAsyncContextManager[Transaction]
    ) -> tuple[list[list[Appended] | Problem], State]:
        """Return what becomes of each request, and what all of them led to. Raises `Moved`."""
        event_ids = [p.event.event_id for w in group for p in w.request.events if p.event.event_id]
        order_ids = {order_id for w in group for order_id in orders_needed(w.request)}
        enqueued = {order_id for w in group for order_id in orders_enqueued(w.request)}
        run_ids = {p.event.run_id for w in group for p in w.request.events if p.event.run_id}
        escalation_ids = {key for w in group for key in escalations_needed(w.request)}
        async with appending as transaction:
            state = await transaction.load(event_ids, order_ids, run_ids, enqueued, escalation_ids)
            now = datetime.now(UTC)
            outcomes = [_outcome(state, waiting, now) for waiting in group]
            if state.rows:
                await transaction.save(state, self._signer.due([row.event for row in state.rows]))
        return outcomes, state

    def _refuse(self, group: list[_Waiting], error: Problem) -> None:
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_exception(type(error)(error.message))


def _outcome(state: State, waiting: _Waiting, now: datetime) -> list[Appended] | Problem:
    try:
        return state.apply(waiting.request, waiting.new_ids, now)
    except Problem as error:
        return error
    except Exception as error:
        # A request that we fail to decide changed nothing, so the others of its group go on.
        log.error("a request could not be decided", exc_info=error)
        return Internal("the append failed on our side; the log has it")
